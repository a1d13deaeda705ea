/* The end of every start in a container, which no program can leave out. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "process.h"
#include "program.h"

static int last_capability(void) {
  int last = 0;
  while (last < 63 && prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0) last++;
  return last;
}

static int drop_bounding(uint64_t capabilities) {
  int last = last_capability();
  if (last < 63 && capabilities >> (last + 1))
    return fail_with(EINVAL, "keep capabilities that this kernel does not know", "");
  for (int c = 0; c <= last; c++)
    if (!(capabilities >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0)) return fail("drop capabilities", "");
  return 0;
}

static int set_capabilities(uint64_t kept) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct now[2], data[2] = {{0}};
  if (syscall(SYS_capget, &header, now)) return fail("read the capabilities", "");
  for (int i = 0; i < 2; i++) {
    data[i].permitted = data[i].effective = (uint32_t)(kept >> 32 * i) & now[i].permitted;
    data[i].inheritable = 0;
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return syscall(SYS_capset, &header, data) ? fail("set the capabilities", "") : 0;
}

int keep_only(uint64_t capabilities) { return drop_bounding(capabilities) || set_capabilities(capabilities) ? -1 : 0; }

static int become_user(const struct user *u) {
  char id[32];
  snprintf(id, sizeof id, "%u:%u", u->id, u->group);
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)) return fail("keep capabilities", "");
  /* setgroups is denied where a user namespace maps a single id; there are no other groups to lose there. */
  gid_t groups[GROUPS_MAX];
  for (uint32_t i = 0; i < u->group_count; i++) groups[i] = u->groups[i];
  if (setgroups(u->group_count, groups) && (u->group_count || errno != EPERM)) return fail("set the groups", "");
  if (setresgid(u->group, u->group, u->group) || setresuid(u->id, u->id, u->id))
    return fail("become the user", id);
  return prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) ? fail("keep capabilities", "") : 0;
}

/* A working directory that came from outside, or lies in procfs, is a way out (CVE-2024-21626). */
static int enter_folder(const char *folder) {
  char path[4096];
  struct statfs s;
  if (chdir(folder)) return fail("enter", folder);
  if (syscall(SYS_getcwd, path, sizeof path) < 0 || path[0] != '/')
    return fail_with(EPERM, "stay outside the container, in", folder);
  if (statfs(".", &s)) return fail("enter", folder);
  return s.f_type == PROC_SUPER_MAGIC ? fail_with(EPERM, "work in procfs, in", folder) : 0;
}

static int set_limits(const struct program *p) {
  for (uint32_t i = 0; i < p->limit_count; i++) {
    struct rlimit now, wanted = {p->limits[i].soft, p->limits[i].hard};
    int resource = (int)p->limits[i].resource;
    if (getrlimit((__rlimit_resource_t)resource, &now)) return fail("read the limit", "");
    /* Raising the hard limit takes CAP_SYS_RESOURCE of the machine: what there is must do. */
    if (wanted.rlim_max > now.rlim_max) wanted.rlim_max = now.rlim_max;
    if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
    if (setrlimit((__rlimit_resource_t)resource, &wanted)) return fail("set the limit", "");
  }
  return 0;
}

void enter_command(const struct program *p, const struct user *user, int status, char **argv, char **environment,
                   const char *folder) {
  if (set_limits(p) || drop_bounding(p->capabilities) || become_user(user) || set_capabilities(p->capabilities) ||
      enter_folder(folder))
    report_fault(status);
  if (status != 3 && dup3(status, 3, O_CLOEXEC) < 0) give_up(status, "keep the status socket", "");
  syscall(SYS_close_range, 4, ~0U, 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) give_up(3, "give up new privileges", "");
  if (p->filter.len && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p->filter))
    give_up(3, "filter system calls", "");
  environ = environment;
  execvp(argv[0], argv);
  give_up(3, "run", argv[0]);
}
