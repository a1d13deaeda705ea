/* SPAWN: a command in a node's network namespace and the machine's files, or in its container. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"
#include "program.h"

/* A file of the state folder stands in for one of the machine, where there is one. */
static int lay_over(const char *folder, const char *name, const char *target) {
  char path[4096];
  if ((size_t)snprintf(path, sizeof path, "%s/%s/%s", state_folder, folder, name) >= sizeof path) return 0;
  return mount(path, target, NULL, MS_BIND, NULL) && errno != ENOENT ? fail("bind", path) : 0;
}

/* What `ip netns exec` does: the machine's files, with the node's own /sys and its names. */
static int take_own_view(const struct node *n) {
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
    return fail("make a mount namespace", n->name);
  if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return fail("mount", "/sys");
  return lay_over("hosts", n->name, "/etc/hosts") || lay_over("resolv", n->name, "/etc/resolv.conf") ? -1 : 0;
}

static void __attribute__((noreturn)) run_command(int status, char **argv, char **environment) {
  /* Nothing of init's stays open but 0, 1, 2 and the status socket, which a successful exec closes. */
  if (status != 3 && dup3(status, 3, O_CLOEXEC) < 0) give_up(status, "keep the status socket", "");
  syscall(SYS_close_range, 4, ~0U, 0);
  environ = environment;
  execvp(argv[0], argv);
  give_up(3, "run", argv[0]);
}

static void __attribute__((noreturn)) become_command(const struct command *c, int status) {
  child_defaults();
  if (c->slave >= 0 ? take_terminal(c->slave) : take_files(c->files)) report_fault(status);
  if (c->node && enter_node(c->node)) report_fault(status);
  if (c->node && c->flags & SPAWN_OWN_VIEW && take_own_view(c->node)) report_fault(status);
  if (chdir(*c->folder ? c->folder : "/")) give_up(status, "enter", c->folder);
  run_command(status, c->argv, c->environment);
}

static int open_terminal(int ends[2], uint32_t size) {
  ends[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  int unlock = 0;
  if (ends[0] < 0 || ioctl(ends[0], TIOCSPTLCK, &unlock)) return fail("open a terminal", "/dev/ptmx");
  set_size(ends[0], size);
  ends[1] = ioctl(ends[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return ends[1] < 0 ? fail("open a terminal", "/dev/ptmx") : 0;
}

static int start_command(struct client *client, uint32_t serial, const struct command *c, struct node *n,
                         int terminal) {
  int status;
  struct process *p = begin_process(client, serial, n, c->flags & SPAWN_TIED, &status);
  if (!p) return -1;
  pid_t pid = fork();
  if (pid == 0) {
    if (c->flags & SPAWN_CONTAINER) become_guest(c, status);
    become_command(c, status);
  }
  if (pid < 0) {
    fail("start a process", c->argv[0]);
    abandon_process(p, status);
    return -1;
  }
  p->terminal = terminal;
  end_beginning(p, pid, status);
  return 0;
}

int spawn(struct client *client, uint32_t serial, struct reader *in, const int *files, unsigned file_count) {
  const char *name = take_string(in);
  struct command c = {.flags = take_u8(in), .folder = take_string(in), .files = files, .slave = -1};
  uint32_t argc, envc;
  c.argv = take_strings(in, &argc);
  c.environment = take_strings(in, &envc);
  struct user user;
  if (c.flags & SPAWN_USER) take_user(in, &user), c.user = &user;
  if (c.flags & SPAWN_PTY) c.size = take_u32(in);
  struct node *n = NULL;
  int terminal[2] = {-1, -1}, result = 0;
  bool stray = (c.flags & (SPAWN_USER | SPAWN_CONTAINER)) == SPAWN_USER;
  if (!took_all(in) || !argc || stray || file_count != (c.flags & SPAWN_PTY ? 0 : 3))
    result = fail_with(EBADMSG, "read the request", "");
  else if (*name && !(n = find_node(name))) result = -1;
  else if (c.flags & SPAWN_CONTAINER && !(n && n->first && n->first->state == RUNNING))
    result = fail_with(ESRCH, "find a running container", name);
  else if (c.flags & SPAWN_PTY && !(c.flags & SPAWN_CONTAINER)) result = open_terminal(terminal, c.size);
  c.node = n;
  c.slave = terminal[1];
  if (!result) result = start_command(client, serial, &c, n, terminal[0]);
  if (result && terminal[0] >= 0) close(terminal[0]);
  if (terminal[1] >= 0) close(terminal[1]);
  free(c.argv);
  free(c.environment);
  return result;
}
