/* The operations of a program: each a step towards what the command sees. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "program.h"

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
