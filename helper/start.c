/* yapc-init STATE_FOLDER [join | RANGES], with the first client's socket as descriptor 3: makes the lab's own namespaces
 * and starts the lab's init in them. Without root it makes a user namespace: RANGES (ids.h) are the ids to map there
 * beside the user's own; with `join`, descriptor 4 is the one to be in instead: that of containers which the same user
 * runs, so that their network namespaces can be entered. Never setuid: it has the rights of root, or those that a user
 * namespace gives. */
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ids.h"
#include "init.h"

enum { FIRST_CLIENT = 3, USER_NAMESPACE = 4 };

void report_and_exit(int first_client) {
  put_header(&out, FAILED, 0);
  put_u32(&out, (uint32_t)fault.error);
  put_string(&out, fault.step);
  put_string(&out, fault.path);
  transmit(first_client, out.bytes, out.length, NULL, 0);
  _exit(1);
}

static void capabilities(unsigned operation, struct __user_cap_data_struct data[2]) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  if (syscall(operation, &header, data)) abort();
}

static bool may_administer(void) {
  struct __user_cap_data_struct data[2];
  capabilities(SYS_capget, data);
  return geteuid() == 0 && (data[0].effective & 1U << CAP_SYS_ADMIN) && (data[0].effective & 1U << CAP_NET_ADMIN);
}

/* Under an id that is not 0 the capabilities of the lab's processes must be ambient, or exec takes them away. */
static int keep_capabilities(void) {
  struct __user_cap_data_struct data[2];
  capabilities(SYS_capget, data);
  for (int i = 0; i < 2; i++) data[i].inheritable = data[i].permitted;
  capabilities(SYS_capset, data);
  for (unsigned c = 0; c < 64; c++)
    if (data[c / 32].permitted & 1U << c % 32 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0))
      return fail("keep the capabilities", "");
  return 0;
}

static int join_user_namespace(void) {
  if (setns(USER_NAMESPACE, CLONE_NEWUSER)) return fail("join the user namespace", "");
  return close(USER_NAMESPACE);
}

static int make_lab(bool join, char **ranges) {
  machine_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (machine_proc < 0) return fail("open", "/proc");
  rootless = !may_administer();
  if (rootless) {
    if (join ? join_user_namespace() : make_user_namespace(ranges)) return -1;
    if (keep_capabilities()) return -1;
  }
  if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET)) return fail("make the lab's namespaces", "");
  return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ? fail("make mounts private below", "/") : 0;
}

/* "PID START-TIME", as the machine's /proc says: together they name init for as long as the machine is up. */
static int write_pid_file(void) {
  char stat[512], path[4096], pid[16];
  int from = openat(machine_proc, "self/stat", O_RDONLY | O_CLOEXEC);
  ssize_t length = from < 0 ? -1 : read(from, stat, sizeof stat - 1);
  if (length <= 0) return fail("read", "/proc/self/stat");
  close(from);
  stat[length] = 0;
  sscanf(stat, "%15s", pid);
  /* Fields are counted from behind the name, which may hold blanks; the start time is the 22nd. */
  char *field = strrchr(stat, ')');
  for (int i = 2; field && i < 22; i++) field = strchr(field + 1, ' ');
  if (!field || (size_t)snprintf(path, sizeof path, "%s/init.pid", state_folder) >= sizeof path)
    return fail_with(EINVAL, "write the pid file in", state_folder);
  int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (to < 0 || dprintf(to, "%s %.*s\n", pid, (int)strcspn(field + 1, " "), field + 1) < 0) return fail("write", path);
  return close(to);
}

static int enter_lab(void) {
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return fail("mount the lab's", "/proc");
  lab_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  own_net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (lab_proc < 0 || own_net < 0) return fail("open the lab's", "/proc");
  /* So that its own user can reach the lab's namespaces through /proc/PID/ns; every child of init gives it up. */
  prctl(PR_SET_DUMPABLE, 1);
  return write_pid_file();
}

int main(int argc, char **argv) {
  int type;
  socklen_t size = sizeof type;
  bool join = argc == 3 && !strcmp(argv[2], "join");
  char **ranges = argc == 2 + RANGE_WORDS ? argv + 2 : NULL;
  if ((argc != 2 && !join && !ranges) || getsockopt(FIRST_CLIENT, SOL_SOCKET, SO_TYPE, &type, &size) ||
      type != SOCK_SEQPACKET) {
    fputs("yapc-init is started by yapc-net, which speaks to it on descriptor 3\n", stderr);
    return 2;
  }
  state_folder = argv[1];
  prctl(PR_SET_NAME, "yapc-init"); /* else the number of the descriptor that it was run from */
  fcntl(FIRST_CLIENT, F_SETFD, FD_CLOEXEC);
  fcntl(FIRST_CLIENT, F_SETFL, O_NONBLOCK);
  if (make_lab(join, ranges)) report_and_exit(FIRST_CLIENT);
  pid_t pid = fork();
  if (pid < 0) fail("start the lab's init", ""), report_and_exit(FIRST_CLIENT);
  if (pid > 0) _exit(0);
  if (enter_lab()) report_and_exit(FIRST_CLIENT);
  run_init(FIRST_CLIENT);
}
