#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "process.h"

/* ---- parsing ---- */

static void parse_operation(struct reader *r, struct operation *o) {
  *o = (struct operation){
      .kind = take_u8(r), .flags = take_u8(r), .mode = take_u32(r), .mount_flags = take_u32(r), .device = take_u32(r)};
  o->source = take_string(r);
  o->target = take_string(r);
  o->data = (const char *)take_bytes(r, &o->data_length);
  if (take_u8(r) != 0 || !o->data) {
    r->bad = true;
    return;
  }
  bool text = o->kind == OP_WRITE || !memchr(o->data, 0, o->data_length);
  bool known = o->kind > 0 && o->kind < OP_KINDS && !(o->flags & ~(OP_INSIDE | OP_OPTIONAL)) && !(o->mode & ~07777U);
  if (!text || !known) r->bad = true;
}

void take_user(struct reader *r, struct user *u) {
  u->id = take_u32(r);
  u->group = take_u32(r);
  u->group_count = take_u32(r);
  if (u->group_count > GROUPS_MAX) r->bad = true, u->group_count = 0;
  for (uint32_t i = 0; i < u->group_count; i++) u->groups[i] = take_u32(r);
}

static void parse_settings(struct reader *r, struct program *p) {
  uint32_t count, length;
  p->argv = take_strings(r, &count);
  if (!count) r->bad = true;
  p->environment = take_strings(r, &count);
  p->folder = take_string(r);
  take_user(r, &p->user);
  p->capabilities = take_u64(r);
  const uint8_t *filter = take_bytes(r, &length);
  if (length % sizeof(struct sock_filter) || length > BPF_MAXINSNS * sizeof(struct sock_filter))
    r->bad = true, length = 0;
  p->filter.len = (unsigned short)(length / sizeof(struct sock_filter));
  p->filter.filter = length ? malloc(length) : NULL; /* aligned */
  if (length) memcpy(p->filter.filter, filter, length);
  p->limit_count = take_u32(r);
  if (p->limit_count > LIMITS_MAX) r->bad = true, p->limit_count = 0;
  for (uint32_t i = 0; i < p->limit_count; i++) p->limits[i] = (struct limit){take_u32(r), take_u64(r), take_u64(r)};
  p->cgroup_count = take_u32(r);
  p->counts_oom = take_u8(r);
}

int parse_program(const uint8_t *bytes, size_t length, struct program *p) {
  struct reader r = {bytes, bytes + length, false};
  if (take_u32(&r) != PROGRAM_MAGIC || take_u32(&r) != PROGRAM_VERSION)
    return fail_with(EBADMSG, "read the program", "");
  parse_settings(&r, p);
  p->operation_count = take_u32(&r);
  if (p->operation_count > (size_t)(r.end - r.at) / 14) r.bad = true, p->operation_count = 0;
  p->operations = calloc(p->operation_count + 1, sizeof *p->operations);
  if (!p->operations) abort();
  for (uint32_t i = 0; i < p->operation_count; i++) parse_operation(&r, &p->operations[i]);
  if (took_all(&r)) return 0;
  free_program(p);
  return fail_with(EBADMSG, "read the program", "");
}

void free_program(struct program *p) {
  free(p->argv);
  free(p->environment);
  free(p->filter.filter);
  free(p->operations);
  *p = (struct program){0};
}

/* ---- operations ---- */

static int base = AT_FDCWD;

/* Below the base nothing is trusted: no link, no way out. Outside it lies what the user or root owns. */
static int open_target(const struct operation *o, const char *path, int flags, uint32_t mode) {
  struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .mode = mode};
  if (!(o->flags & OP_INSIDE)) return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  while (*path == '/') path++;
  return (int)syscall(SYS_openat2, base, *path ? path : ".", &how, sizeof how);
}

/* The folder that holds the target; `*name` is its last part. */
static int open_parent(const struct operation *o, const char **name) {
  char parent[4096];
  const char *slash = strrchr(o->target, '/');
  *name = slash ? slash + 1 : o->target;
  size_t length = slash ? (size_t)(slash - o->target) : 0;
  if (!**name || length >= sizeof parent) {
    errno = EINVAL;
    return -1;
  }
  memcpy(parent, o->target, length);
  parent[length] = 0;
  return open_target(o, length ? parent : "/", O_PATH | O_DIRECTORY, 0);
}

static int make_folder(const struct operation *o) {
  const char *name;
  struct stat s;
  mode_t mode = *o->source && !stat(o->source, &s) ? s.st_mode & 07777 : o->mode;
  int parent = open_parent(o, &name), result = -1;
  if (parent < 0) return -1;
  if (!mkdirat(parent, name, 0700)) {
    int made = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    result = made < 0 ? -1 : fchmod(made, mode); /* whatever the umask */
    close(made);
  } else if (errno == EEXIST && !fstatat(parent, name, &s, AT_SYMLINK_NOFOLLOW)) {
    errno = ENOTDIR;
    result = S_ISDIR(s.st_mode) ? 0 : -1;
  }
  close(parent);
  return result;
}

static int write_content(const struct operation *o) {
  const char *name;
  int parent = open_parent(o, &name);
  if (parent < 0) return -1;
  if (unlinkat(parent, name, 0) && errno != ENOENT) {
    close(parent);
    return -1;
  }
  int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), result = fd < 0 ? -1 : 0;
  for (uint32_t at = 0; !result && at < o->data_length;) {
    ssize_t written = write(fd, o->data + at, o->data_length - at);
    if (written < 0) result = -1;
    else at += (uint32_t)written;
  }
  if (!result) result = fchmod(fd, o->mode);
  if (fd >= 0) close(fd);
  close(parent);
  return result;
}

static int copy_file(const struct operation *o) {
  const char *name;
  struct stat s;
  char buffer[16 * 1024];
  int from = open(o->source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (from < 0) return -1;
  int parent = open_parent(o, &name), result = parent < 0 || fstat(from, &s) || !S_ISREG(s.st_mode) ? -1 : 0;
  int to = result ? -1 : openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (!result && to < 0) result = errno == EEXIST ? 0 : -1;
  for (ssize_t length; to >= 0 && !result && (length = read(from, buffer, sizeof buffer)) != 0;)
    if (length < 0 || write(to, buffer, (size_t)length) != length) result = -1;
  if (to >= 0) {
    if (!result) result = fchmod(to, s.st_mode & 07777);
    close(to);
  }
  if (parent >= 0) close(parent);
  close(from);
  return result;
}

static int make_link(const struct operation *o) {
  const char *name;
  int parent = open_parent(o, &name);
  if (parent < 0) return -1;
  int result = symlinkat(o->source, parent, name) && errno != EEXIST ? -1 : 0;
  close(parent);
  return result;
}

/* mount(2) takes paths; a descriptor has one that nobody can move away under it. */
static int mount_on(int target, const char *source, const char *type, unsigned long flags, const char *data) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", target);
  return mount(source, path, type, flags, data);
}

static int mount_type(const struct operation *o) {
  int target = open_target(o, o->target, O_PATH | O_DIRECTORY, 0);
  if (target < 0) return -1;
  int result = mount_on(target, o->source, o->source, o->mount_flags, o->data_length ? o->data : NULL);
  close(target);
  return result;
}

/* Flags are added to a mount and all below it; those of the original, which a user namespace locks, stay. MS_RDONLY,
 * NOSUID, NODEV and NOEXEC are the MOUNT_ATTR_ ones. EINVAL: nothing is mounted there. */
static int restrict_mounts(int mounted, unsigned long flags) {
  const struct {
    uint64_t set, clear, propagation, user_namespace;
  } attributes = {.set = flags};
  return (int)syscall(SYS_mount_setattr, mounted, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes);
}

static int bind_from(const struct operation *o, int source, unsigned long flags) {
  char path[32];
  int target = open_target(o, o->target, O_PATH, 0);
  if (target < 0) return -1;
  snprintf(path, sizeof path, "/proc/self/fd/%d", source);
  int result = mount_on(target, path, NULL, MS_BIND | (flags & MS_REC), NULL);
  close(target);
  if (result || !(flags & ~MS_REC)) return result;
  if ((target = open_target(o, o->target, O_PATH, 0)) < 0) return -1; /* what lies there now */
  result = restrict_mounts(target, flags & ~MS_REC);
  close(target);
  return result;
}

static int bind_path(const struct operation *o) {
  int source = open(o->source, O_PATH | O_CLOEXEC);
  if (source < 0) return -1;
  int result = bind_from(o, source, o->mount_flags);
  close(source);
  return result;
}

static int make_device(const struct operation *o) {
  const char *name;
  int parent = open_parent(o, &name);
  if (parent < 0) return -1;
  int result = mknodat(parent, name, S_IFCHR | 0600, makedev(o->device >> 8, o->device & 255)) ||
                       fchmodat(parent, name, o->mode, 0)
                   ? -1
                   : 0;
  close(parent);
  return result;
}

/* The machine's device, if it is what its name says. */
static int open_device(const char *path, uint32_t device) {
  struct stat s;
  int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 && !fstat(fd, &s) && S_ISCHR(s.st_mode) && s.st_rdev == makedev(device >> 8, device & 255)) return fd;
  if (fd >= 0) {
    close(fd);
    errno = ENODEV;
  }
  return -1;
}

static int bind_device(const struct operation *o) {
  int source = open_device(o->source, o->device), result = -1;
  if (source < 0) return -1;
  int made = open_target(o, o->target, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (made >= 0) {
    close(made);
    result = bind_from(o, source, 0);
  }
  close(source);
  return result;
}

static int mask(const struct operation *o) {
  struct stat s;
  int target = open_target(o, o->target, O_PATH, 0), result = -1;
  if (target < 0) return errno == ENOENT ? 0 : -1;
  if (!fstat(target, &s) && S_ISDIR(s.st_mode)) {
    result = mount_on(target, "tmpfs", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0,mode=0555");
  } else {
    /* The machine's, never one of the container's root; read-only, or chmod(2) inside would reach the machine's. */
    int null = open_device("/dev/null", 1 << 8 | 3);
    if (null >= 0) {
      result = bind_from(o, null, MS_RDONLY | MS_NOSUID | MS_NOEXEC);
      close(null);
    }
  }
  close(target);
  return result;
}

static int make_read_only(const struct operation *o) {
  int target = open_target(o, o->target, O_PATH, 0);
  if (target < 0) return errno == ENOENT ? 0 : -1;
  int result = restrict_mounts(target, MS_RDONLY);
  if (result && errno == EINVAL) result = bind_from(o, target, MS_REC | MS_RDONLY);
  close(target);
  return result;
}

static int set_base(const struct operation *o) {
  int opened = open(o->target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (opened < 0) return -1;
  if (base >= 0) close(base);
  base = opened;
  return 0;
}

static int set_hostname(const struct operation *o) { return sethostname(o->data, o->data_length); }

static int pivot(const struct operation *o) {
  (void)o;
  /* Old and new root at one place: the old one lies on top and is taken off (pivot_root(2), NOTES). */
  return fchdir(base) || syscall(SYS_pivot_root, ".", ".") || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) ||
                 umount2(".", MNT_DETACH) || chdir("/")
             ? -1
             : 0;
}

static const struct {
  int (*run)(const struct operation *);
  const char *step;
} operations[OP_KINDS] = {
    [OP_BASE] = {set_base, "open the folder"},
    [OP_MKDIR] = {make_folder, "make the folder"},
    [OP_WRITE] = {write_content, "write the file"},
    [OP_SYMLINK] = {make_link, "make the link"},
    [OP_MOUNT] = {mount_type, "mount"},
    [OP_BIND] = {bind_path, "bind"},
    [OP_MAKE_DEVICE] = {make_device, "make the device"},
    [OP_BIND_DEVICE] = {bind_device, "bind the device"},
    [OP_MASK] = {mask, "mask"},
    [OP_READ_ONLY] = {make_read_only, "make read-only"},
    [OP_HOSTNAME] = {set_hostname, "set the host name"},
    [OP_COPY] = {copy_file, "copy the file"},
    [OP_PIVOT] = {pivot, "change the root"},
};

int run_operations(const struct program *p) {
  umask(022);
  for (uint32_t i = 0; i < p->operation_count; i++) {
    const struct operation *o = &p->operations[i];
    if (!operations[o->kind].run(o) || o->flags & OP_OPTIONAL) continue;
    int error = errno;
    char step[sizeof fault.step];
    snprintf(step, sizeof step, "%s%s%s", operations[o->kind].step, o->kind == OP_MOUNT ? " " : "",
             o->kind == OP_MOUNT ? o->source : "");
    return fail_with(error, step, o->target);
  }
  return 0;
}

/* ---- the end that no program can leave out ---- */

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
