/* Containers: how a node's first process comes to be, and how others join it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "program.h"

struct container {
  uint8_t *bytes;
  struct program program;
  int files[FILES_MAX]; /* where each hierarchy takes members, then the counter of OOM kills */
  unsigned file_count;
  uint64_t oom_kills; /* before it started */
  struct log *log;
};

void free_container(struct container *c) {
  if (!c) return;
  end_log(c->log);
  close_files(c->files, c->file_count);
  free_program(&c->program);
  free(c->bytes);
  free(c);
}

/* memory.events of version 2, memory.oom_control of version 1: both have a line "oom_kill N". */
static uint64_t read_oom_kills(const struct container *c) {
  char text[512];
  if (!c->program.counts_oom) return 0;
  ssize_t length = pread(c->files[c->program.cgroup_count], text, sizeof text - 1, 0);
  text[length > 0 ? length : 0] = 0;
  const char *line = strstr(text, "oom_kill ");
  return line ? strtoull(line + strlen("oom_kill "), NULL, 10) : 0;
}

bool container_ended(struct container *c) {
  end_log(c->log);
  c->log = NULL;
  return read_oom_kills(c) > c->oom_kills;
}

/* ---- in the child ---- */

static int join_cgroups(const struct container *c) {
  for (uint32_t i = 0; i < c->program.cgroup_count; i++)
    if (write(c->files[i], "0", 1) != 1) return fail("join the cgroup", "");
  return 0;
}

static int join(int namespace, int kind, const char *step) { return setns(namespace, kind) ? fail(step, "") : 0; }

/* The user namespace comes first: it gives the rights for the others. */
static int join_node(const struct node *n) {
  if (n->user >= 0 && join(n->user, CLONE_NEWUSER, "join the user namespace of the node")) return -1;
  return join(n->net, CLONE_NEWNET, "join the network namespace of the node");
}

/* A PID namespace holds for children only. The child's parent is init, which reaps it; true in the child. It goes on when
 * the one that hands over has let go of the status socket: else the exec of a command would not end that, and a command
 * that has ended by then would count as one that never ran. */
static bool continue_in_child(int status) {
  int turn[2];
  char nothing;
  if (pipe2(turn, O_CLOEXEC)) give_up(status, "make a pipe", "");
  long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
  if (pid < 0) give_up(status, "start a process in the container", "");
  if (pid > 0) {
    send_report(status, (struct report){.kind = REPORT_PID, .value = (int)pid}, NULL, 0);
    close(status);
    return false;
  }
  close(turn[1]);
  while (read(turn[0], &nothing, 1) < 0 && errno == EINTR) continue;
  close(turn[0]);
  return true;
}

/* A pty of the container's own devpts. What lies at /dev/pts is the container's to change, so that it is looked at
 * (CVE-2025-52565): no links on the way, a devpts, its ptmx. The slave comes by ioctl, not by path. */
static int open_own_terminal(int status, uint32_t user, uint32_t size) {
  struct open_how how = {.flags = O_RDWR | O_NOCTTY | O_CLOEXEC,
                         .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  int master = (int)syscall(SYS_openat2, AT_FDCWD, "/dev/pts/ptmx", &how, sizeof how), unlock = 0;
  struct statfs fs;
  struct stat s;
  if (master < 0 || fstatfs(master, &fs) || fstat(master, &s)) return fail("open a terminal", "/dev/pts/ptmx");
  if (fs.f_type != DEVPTS_SUPER_MAGIC || s.st_rdev != makedev(5, 2))
    return fail_with(ENODEV, "open a terminal", "/dev/pts/ptmx");
  if (ioctl(master, TIOCSPTLCK, &unlock)) return fail("open a terminal", "/dev/pts/ptmx");
  set_size(master, size);
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0 || fchown(slave, user, (gid_t)-1)) return fail("open a terminal", "/dev/pts/ptmx");
  send_report(status, (struct report){.kind = REPORT_TERMINAL}, &master, 1);
  close(master);
  return take_terminal(slave);
}

static int take_output(uint32_t flags, const int files[3], int status, uint32_t user, uint32_t size) {
  return flags & SPAWN_PTY ? open_own_terminal(status, user, size) : take_files(files);
}

/* For those who join later; init holds them until this container has ended. */
static int hand_over_namespaces(int status) {
  static const char *const names[INNER_NAMESPACES] = {"cgroup", "ipc", "uts", "pid", "mnt"};
  int files[INNER_NAMESPACES];
  char path[32];
  for (int i = 0; i < INNER_NAMESPACES; i++) {
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
    files[i] = open(path, O_RDONLY | O_CLOEXEC);
    if (files[i] < 0) return fail("open", path);
  }
  send_report(status, (struct report){.kind = REPORT_NAMESPACES}, files, INNER_NAMESPACES);
  close_files(files, INNER_NAMESPACES);
  return 0;
}

/* PID 1 will live beside code that nobody trusts, so it keeps its socket (3), the gate while the command starts (4) and
 * the right to signal, and nothing else. */
static int confine_first(int status, int gate) {
  int kept = fcntl(gate, F_DUPFD_CLOEXEC, 5);
  if (kept < 0 || (status != 3 && dup3(status, 3, O_CLOEXEC) < 0) || dup3(kept, 4, O_CLOEXEC) < 0) return -1;
  syscall(SYS_close_range, 5, ~0U, 0);
  for (int i = 0; i < 3; i++) close(i);
  memset((char *)state_folder, 0, strlen(state_folder)); /* of the arguments that `ps` shows inside */
  return keep_only(1ULL << CAP_KILL);
}

/* PID 1 of the container from here on: reaps orphans, passes signals on, ends with its command. */
static void watch_over(pid_t command) {
  sigset_t all;
  siginfo_t info;
  int wait_status;
  sigfillset(&all);
  for (;;) {
    int number = sigwaitinfo(&all, &info);
    if (number > 0 && number != SIGCHLD) kill(command, number);
    for (pid_t pid; (pid = waitpid(-1, &wait_status, WNOHANG | __WALL)) > 0;) {
      if (pid != command) continue;
      send_report(3, (struct report){.kind = REPORT_STATUS, .value = wait_status}, NULL, 0);
      _exit(0); /* the kernel ends whatever else runs in the container */
    }
  }
}

struct start {
  const struct node *node;
  struct container *container;
  uint32_t flags, size;
  const int *output;
};

static void run_first(const struct start *start, int status) {
  const struct program *p = &start->container->program;
  struct report word;
  int gate[2];
  sigset_t all;
  if (hand_over_namespaces(status) || run_operations(p)) report_fault(status);
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL); /* its own, or none where the kernel has no keys */
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate)) give_up(status, "make a status socket", "");
  pid_t command = fork();
  if (command < 0) give_up(status, "start the command", p->argv[0]);
  if (command == 0) {
    child_defaults();
    close(gate[0]);
    if (take_output(start->flags, start->output, status, p->user.id, start->size)) report_fault(status);
    if (recv(gate[1], &all, 1, 0) != 1) _exit(125); /* not before PID 1 has given up its rights */
    enter_command(p, &p->user, gate[1], p->argv, p->environment, p->folder);
  }
  close(gate[1]);
  if (confine_first(status, gate[0]) || send(4, "", 1, MSG_NOSIGNAL) != 1) _exit(125);
  /* The gate closes when the command runs; before that, all that it can say is why it does not. */
  bool runs = recv(4, &word, sizeof word, 0) != sizeof word;
  if (runs) word = (struct report){.kind = REPORT_STARTED};
  send_report(3, word, NULL, 0);
  if (!runs) _exit(125);
  close(4);
  watch_over(command);
}

static void become_first(const struct start *start, int status) {
  child_defaults();
  if (join_cgroups(start->container) || join_node(start->node)) report_fault(status);
  /* The cgroup namespace is made in the leaf, so that the leaf is its root. */
  if (unshare(CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWPID))
    give_up(status, "make the namespaces of the container", "");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) give_up(status, "make mounts private below", "/");
  if (continue_in_child(status)) run_first(start, status);
  _exit(0);
}

/* ---- in init ---- */

static int read_program(struct container *c, int file) {
  struct stat s;
  if (fstat(file, &s) || s.st_size > PROGRAM_MAX) return fail_with(EFBIG, "read the program", "");
  c->bytes = malloc((size_t)s.st_size + 1);
  if (!c->bytes) abort();
  if (pread(file, c->bytes, (size_t)s.st_size, 0) != s.st_size) return fail("read the program", "");
  return parse_program(c->bytes, (size_t)s.st_size, &c->program);
}

static struct container *new_container(int program, int *files, unsigned file_count) {
  struct container *c = calloc(1, sizeof *c);
  if (!c) abort();
  int result = read_program(c, program);
  if (!result && file_count != c->program.cgroup_count + c->program.counts_oom)
    result = fail_with(EBADMSG, "read the program", "");
  for (unsigned i = 0; !result && i < file_count; i++) {
    int file = fcntl(files[i], F_DUPFD_CLOEXEC, 3);
    if (file < 0) result = fail("keep the cgroups", "");
    else c->files[c->file_count++] = file;
  }
  if (!result) {
    c->oom_kills = read_oom_kills(c);
    return c;
  }
  free_container(c);
  return NULL;
}

/* Where its output goes: three files of the client, a pty that it makes itself, or a log that init keeps. */
static int open_output(struct container *c, uint32_t flags, const char *log_path, const int *files, int output[3]) {
  if (flags & SPAWN_PTY) return 0;
  for (int i = 0; i < 3 && flags & SPAWN_STDIO; i++) output[i] = fcntl(files[i], F_DUPFD_CLOEXEC, 3);
  if (flags & SPAWN_STDIO) return output[2] < 0 ? fail("keep the standard files", "") : 0;
  output[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  c->log = start_log(log_path, output + 1);
  return c->log ? 0 : -1;
}

static int start_first(struct client *client, uint32_t serial, const struct start *start, struct node *n) {
  int status;
  struct process *p = begin_process(client, serial, n, start->flags & SPAWN_TIED, &status);
  if (!p) return -1;
  pid_t pid = fork();
  if (pid == 0) become_first(start, status);
  if (pid < 0) {
    fail("start a process", n->name);
    abandon_process(p, status);
    return -1;
  }
  p->container = start->container;
  n->first = p;
  end_beginning(p, pid, status);
  return 0;
}

int start_container(struct client *client, uint32_t serial, struct reader *in, int *files, unsigned file_count) {
  const char *name = take_string(in);
  uint32_t flags = take_u8(in);
  const char *log_path = take_string(in);
  uint32_t size = flags & SPAWN_PTY ? take_u32(in) : 0;
  unsigned stdio = flags & SPAWN_STDIO ? 3 : 0;
  if (!took_all(in) || file_count < 1 + stdio) return fail_with(EBADMSG, "read the request", "");
  struct node *n = find_node(name);
  if (!n) return -1;
  if (n->first) return fail_with(EBUSY, "start a second container", name);
  /* A container may share a network that others own, as yapc's does: where init cannot enter it, the join says so. */
  if (!n->container && !n->adopted) return fail_with(EINVAL, "start a container in a node that has none", name);
  struct container *c = new_container(files[0], files + 1 + stdio, file_count - 1 - stdio);
  if (!c) return -1;
  int output[3] = {-1, -1, -1}, result = open_output(c, flags, log_path, files + 1, output);
  if (!result) result = start_first(client, serial, &(struct start){n, c, flags, size, output}, n);
  if (result) free_container(c);
  for (int i = 0; i < 3; i++)
    if (output[i] >= 0) close(output[i]);
  return result;
}

void become_guest(const struct command *command, int status) {
  static const struct {
    int kind;
    const char *step;
  } inner[INNER_NAMESPACES] = {{CLONE_NEWCGROUP, "join the cgroup namespace"},
                               {CLONE_NEWIPC, "join the IPC namespace"},
                               {CLONE_NEWUTS, "join the UTS namespace"},
                               {CLONE_NEWPID, "join the PID namespace"},
                               {CLONE_NEWNS, "join the mount namespace"}};
  const struct node *n = command->node;
  const struct container *c = n->first->container;
  child_defaults();
  if (join_cgroups(c) || join_node(n)) report_fault(status);
  for (int i = 0; i < INNER_NAMESPACES; i++)
    if (join(n->first->inner[i], inner[i].kind, inner[i].step)) report_fault(status);
  if (!continue_in_child(status)) _exit(0);
  child_defaults();
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  const struct user *user = command->user ? command->user : &c->program.user;
  if (take_output(command->flags, command->files, status, user->id, command->size)) report_fault(status);
  enter_command(&c->program, user, status, command->argv, command->environment,
                *command->folder ? command->folder : c->program.folder);
}
