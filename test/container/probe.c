/* What a container looks like from inside: a line "key TAB value" for each thing that a runtime decides. Static, so that
 * it runs in any root; probe.netns.test.ts compares what it says in ours and in runc's. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void put(const char *key, const char *format, ...) {
  va_list args;
  va_start(args, format);
  printf("%s\t", key);
  vprintf(format, args);
  printf("\n");
  va_end(args);
}

/* A key of two words; good until the next one. */
static const char *key_of(const char *kind, const char *name) {
  static char key[600];
  strcpy(key, "");
  strncat(key, kind, 64);
  strcat(key, " ");
  strncat(key, name, 500);
  return key;
}

static const char *outcome(long result) { return result < 0 ? strerrorname_np(errno) : "ok"; }

/* ---- identity: /proc/self, sessions, limits ---- */

static void status_lines(void) {
  static const char *const wanted[] = {"Uid",    "Gid",    "Groups", "CapInh",     "CapPrm",  "CapEff", "CapBnd",
                                       "CapAmb", "SigBlk", "SigIgn", "NoNewPrivs", "Seccomp", NULL};
  char line[4096];
  FILE *file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (!colon) continue;
    *colon = 0;
    for (int i = 0; wanted[i]; i++) {
      if (strcmp(line, wanted[i])) continue;
      char *value = colon + 1 + strspn(colon + 1, " \t");
      value[strcspn(value, "\n")] = 0;
      for (char *c = value; *c; c++)
        if (*c == '\t') *c = ' ';
      put(key_of("status", line), "%s", value);
    }
  }
  if (file) fclose(file);
}

static void file_lines(const char *key, const char *path) {
  char line[4096];
  FILE *file = fopen(path, "r");
  if (!file) put(key, "%s", strerrorname_np(errno));
  for (int number = 0; file && fgets(line, sizeof line, file); number++) {
    line[strcspn(line, "\n")] = 0;
    put(key, "%s", line);
  }
  if (file) fclose(file);
}

static void identity(void) {
  static const char *const spaces[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
  static const char *const limits[] = {"cpu",   "fsize",      "data",  "stack",    "core", "rss",    "nproc",  "nofile",
                                       "memlock", "as",       "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
  char path[64], target[256];
  struct utsname names;
  for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
    snprintf(path, sizeof path, "/proc/self/ns/%s", spaces[i]);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    put(key_of("namespace", spaces[i]), "%s", target);
  }
  for (int i = 0; i < 16; i++) {
    struct rlimit limit;
    getrlimit(i, &limit);
    put(key_of("rlimit", limits[i]), "%lld %lld", (long long)limit.rlim_cur, (long long)limit.rlim_max);
  }
  status_lines();
  file_lines("map users", "/proc/self/uid_map");
  file_lines("map groups", "/proc/self/gid_map");
  file_lines("map setgroups", "/proc/self/setgroups");
  file_lines("oom_score_adj", "/proc/self/oom_score_adj");
  file_lines("cgroup", "/proc/self/cgroup");
  uname(&names);
  put("name host", "%s", names.nodename);
  put("name domain", "%s", names.domainname);
  put("securebits", "%d", prctl(PR_GET_SECUREBITS));
  put("dumpable", "%d", prctl(PR_GET_DUMPABLE));
  int death = 0;
  prctl(PR_GET_PDEATHSIG, &death);
  put("parent death signal", "%d", death);
  put("personality", "%x", personality(0xffffffff));
  put("umask", "%o", umask(022));
  put("nice", "%d", getpriority(PRIO_PROCESS, 0));
  put("process pid", "%d", getpid());
  put("process session", "%s", getsid(0) == getpid() ? "own" : "another's");
  put("process group", "%s", getpgrp() == getpid() ? "own" : "another's");
  put("cwd", "%s", getcwd(target, sizeof target) ? target : strerrorname_np(errno));
  for (char **variable = environ; *variable; variable++) put("environment", "%s", *variable);
}

/* ---- files ---- */

static char kind(mode_t mode) {
  return S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : S_ISCHR(mode) ? 'c' : S_ISBLK(mode) ? 'b' : S_ISFIFO(mode) ? 'p' : '-';
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static char **names_in(const char *folder, size_t *count) {
  char **names = NULL;
  DIR *d = opendir(folder);
  *count = 0;
  for (struct dirent *e; d && (e = readdir(d));) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    names = realloc(names, (*count + 1) * sizeof *names);
    names[(*count)++] = strdup(e->d_name);
  }
  if (d) closedir(d);
  if (names) qsort(names, *count, sizeof *names, by_name);
  return names;
}

static void entries(const char *title, const char *folder) {
  size_t count;
  char **names = names_in(folder, &count), path[512], link[256] = "";
  for (size_t i = 0; i < count; i++) {
    struct stat s;
    snprintf(path, sizeof path, "%s/%s", strcmp(folder, "/") ? folder : "", names[i]);
    if (lstat(path, &s)) continue;
    ssize_t length = S_ISLNK(s.st_mode) ? readlink(path, link, sizeof link - 1) : 0;
    link[length > 0 ? length : 0] = 0;
    put(key_of(title, path), "%c %o %u:%u %u:%u%s%s", kind(s.st_mode), s.st_mode & 07777, s.st_uid, s.st_gid, major(s.st_rdev),
        minor(s.st_rdev), *link ? " -> " : "", link);
  }
}

/* What reading and writing it gives: "empty" is what a masked file reads as. */
static void reach(const char *path) {
  char byte;
  struct stat s;
  const char *key = key_of("reach", path);
  if (lstat(path, &s)) {
    put(key, "%s", strerrorname_np(errno));
    return;
  }
  if (S_ISDIR(s.st_mode)) {
    size_t count;
    char inside[300];
    names_in(path, &count);
    snprintf(inside, sizeof inside, "%s/probe", path);
    put(key, "folder, %s, mkdir %s", count ? "not empty" : "empty", outcome(mkdir(inside, 0700)));
    rmdir(inside);
    return;
  }
  int from = open(path, O_RDONLY | O_NONBLOCK);
  const char *reading = outcome(from);
  if (from >= 0) {
    ssize_t length = read(from, &byte, 1);
    reading = length < 0 ? strerrorname_np(errno) : length ? "content" : "empty";
    close(from);
  }
  int to = open(path, O_WRONLY | O_NONBLOCK);
  const char *writing = outcome(to);
  if (to >= 0) close(to);
  put(key, "read %s, write %s, chmod %s", reading, writing, outcome(chmod(path, s.st_mode & 07777)));
}

static void files(void) {
  static const char *const paths[] = {
      "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kmsg",
      "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/proc/bus",
      "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/proc/kallsyms", "/proc/1/environ",
      "/proc/1/maps", "/proc/1/root", "/proc/self/mem", "/proc/self/oom_score_adj", "/proc/self/attr/current",
      "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
      "/proc/sys/kernel/shmmax", "/proc/sys/kernel/ns_last_pid", "/proc/sys/fs/binfmt_misc", "/proc/sys/vm/overcommit_memory",
      "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ping_group_range", "/sys/firmware", "/sys/kernel/uevent_helper",
      "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security", "/sys/fs/bpf", "/sys/devices/virtual/powercap",
      "/sys/class/net/lo/mtu", "/sys/power/state", "/sys/fs/cgroup", "/dev/mem", "/dev/kmsg", "/dev/mqueue", "/dev/shm",
      "/etc", "/bin", "/"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) reach(paths[i]);
  size_t count;
  char **names = names_in("/proc/self/fd", &count), path[64], target[256];
  for (size_t i = 0; i + 1 < count; i++) { /* the last is the folder's own */
    snprintf(path, sizeof path, "/proc/self/fd/%s", names[i]);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    target[strcspn(target, ":")] = 0;
    put(key_of("descriptor", names[i]), "%s", target);
  }
  names = names_in("/proc", &count);
  for (size_t i = 0; i < count; i++)
    if (names[i][0] >= '0' && names[i][0] <= '9') {
      char comm[64] = "";
      snprintf(path, sizeof path, "/proc/%.32s/comm", names[i]);
      int from = open(path, O_RDONLY);
      if (from >= 0 && read(from, comm, sizeof comm - 1) > 0) comm[strcspn(comm, "\n")] = 0;
      put(key_of("processes", names[i]), "%s", comm);
    }
  names = names_in("/sys/class/net", &count);
  for (size_t i = 0; i < count; i++) put("interface", "%s", names[i]);
  entries("root", "/");
  entries("device", "/dev");
  entries("device", "/dev/pts");
  file_lines("mount", "/proc/self/mountinfo");
  struct stat root, above;
  put("root's parent", "%s", !stat("/", &root) && !stat("/..", &above) && root.st_ino == above.st_ino ? "itself" : "another");
}

static void devices(void) {
  static const struct {
    const char *path;
    mode_t type;
    unsigned major, minor;
  } made[] = {{"/probe-zero", S_IFCHR, 1, 5}, {"/dev/probe", S_IFCHR, 1, 5}, {"/dev/shm/probe", S_IFCHR, 1, 5},
              {"/probe-disk", S_IFBLK, 8, 0}, {"/dev/probe-mem", S_IFCHR, 1, 1}};
  static const char *const own[] = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"};
  char path[64];
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    snprintf(path, sizeof path, "/dev/%s", own[i]);
    int fd = open(path, O_RDWR | O_NOCTTY);
    put(key_of("open", path), "%s", outcome(fd));
    if (fd >= 0) close(fd);
  }
  for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
    long result = mknod(made[i].path, made[i].type | 0600, makedev(made[i].major, made[i].minor));
    const char *making = outcome(result);
    int fd = result ? -1 : open(made[i].path, O_RDONLY | O_NONBLOCK);
    put(key_of("mknod", made[i].path), "%s, open %s", making, result ? "-" : outcome(fd));
    if (fd >= 0) close(fd);
    if (!result) unlink(made[i].path);
  }
}

static void terminal(void) {
  char byte = 'x', number[2] = "0";
  for (int fd = 0; fd < 3; fd++, number[0]++) {
    put(key_of("terminal", number), "%s, TIOCSTI %s", isatty(fd) ? "tty" : "no tty", outcome(ioctl(fd, TIOCSTI, &byte)));
  }
  put("keyring session", "%s", outcome(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)));
  long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  const char *outside = getenv("OUTSIDE_KEYRING");
  put("keyring of the machine", "%s", id < 0 ? "-" : outside && id == atol(outside) ? "the same" : "another");
}

/* ---- system calls: each in a child of its own, under a timer ---- */

struct call {
  long number, args[6];
  bool wrong_architecture;
};

static void attempt(const char *key, struct call c) {
  fflush(stdout);
  int pipe_ends[2], status;
  if (pipe(pipe_ends)) return;
  pid_t pid = fork();
  if (pid == 0) {
    struct itimerval soon = {.it_value = {.tv_usec = 100000}};
    pid_t self = getpid();
    setitimer(ITIMER_REAL, &soon, NULL);
    long result = 0;
    errno = 0;
#ifdef __x86_64__
    if (c.wrong_architecture) {
      __asm__ volatile("int $0x80" : "=a"(result) : "a"(c.number), "b"(0), "c"(0), "d"(0) : "memory");
      if (result < 0) errno = (int)-result;
    } else
#endif
      result = syscall(c.number, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5]);
    int error = result < 0 ? errno : 0;
    if (syscall(SYS_getpid) != self) syscall(SYS_exit_group, 0); /* a child that the call has made */
    if (write(pipe_ends[1], &error, sizeof error) < 0) _exit(1);
    _exit(0);
  }
  close(pipe_ends[1]);
  int error = -1;
  ssize_t length = read(pipe_ends[0], &error, sizeof error);
  close(pipe_ends[0]);
  waitpid(pid, &status, 0);
  if (length == sizeof error) put(key, "%s", error ? strerrorname_np(error) : "ok");
  else put(key, "%s", WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : "exit");
}

/* Ends or blocks who asks, or, as kill(-1), depends on who else is there. */
static const long left_out[] = {
    SYS_kill, SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_sync, SYS_clone,
#ifdef SYS_fork
    SYS_fork, SYS_vfork, SYS_pause,
#endif
};

static void system_calls(void) {
  char key[64];
  for (long number = 0; number <= 480; number++) {
    bool left = false;
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) left |= left_out[i] == number;
    if (left || (number > 334 && number < 424)) continue;
    snprintf(key, sizeof key, "call %ld", number);
    attempt(key, (struct call){number, {-1, -1, -1, -1, -1, -1}, false});
  }
  for (int family = 0; family <= 46; family++) {
    snprintf(key, sizeof key, "socket %d", family);
    attempt(key, (struct call){SYS_socket, {family, SOCK_DGRAM, 0}, false});
  }
  static const struct {
    const char *name;
    unsigned long flag;
  } spaces[] = {{"none", 0},           {"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"mnt", CLONE_NEWNS},
                {"net", CLONE_NEWNET}, {"pid", CLONE_NEWPID},       {"user", CLONE_NEWUSER}, {"uts", CLONE_NEWUTS}};
  for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
    attempt(key_of("clone", spaces[i].name), (struct call){SYS_clone, {(long)(spaces[i].flag | SIGCHLD)}, false});
    attempt(key_of("unshare", spaces[i].name), (struct call){SYS_unshare, {(long)spaces[i].flag}, false});
  }
  static const unsigned long personas[] = {0, 8, 0x20000, 0x20008, 0x40000, 0x400000};
  for (size_t i = 0; i < sizeof personas / sizeof *personas; i++) {
    snprintf(key, sizeof key, "personality %lx", personas[i]);
    attempt(key, (struct call){SYS_personality, {(long)personas[i]}, false});
  }
#ifdef __x86_64__
  attempt("x32 getpid", (struct call){0x40000000L | SYS_getpid, {0}, false});
  attempt("i386 getpid", (struct call){20, {0}, true});
#endif
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "keyring")) { /* of whom it is started by: to be told inside */
    printf("%ld", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
    return 0;
  }
  identity();
  devices();
  terminal();
  files();
  system_calls();
  return 0;
}
