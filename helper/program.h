/* Container programs: bytes that TypeScript wrote, checked as a whole before the first step is taken. */
#ifndef YAPC_PROGRAM_H
#define YAPC_PROGRAM_H

#include <linux/filter.h>

#include "wire.h"

enum { PROGRAM_MAGIC = 0x43504159 /* "YAPC" */, PROGRAM_VERSION = 1, LIMITS_MAX = 16, GROUPS_MAX = 256 };

enum operation_kind {
  OP_BASE = 1,    /* target: a folder of the machine; what is `inside` is below it, and no link leads out */
  OP_MKDIR,       /* target, mode; source: a folder of the machine whose mode counts instead, where it is there */
  OP_WRITE,       /* target, mode, data; replaces what is there */
  OP_SYMLINK,     /* target, source: the text of the link; stays as it is where something is there */
  OP_MOUNT,       /* target, source: the file system type, mount flags, data: its options */
  OP_BIND,        /* target, source: a path of the machine, mount flags (MS_REC; the others by remount) */
  OP_MAKE_DEVICE, /* target, mode, device: mknod of a character device */
  OP_BIND_DEVICE, /* target, source: the machine's device, which must be that character device */
  OP_MASK,        /* target: reads as empty, a file or a folder */
  OP_READ_ONLY,   /* target */
  OP_HOSTNAME,    /* data */
  OP_COPY,        /* target, source: a small plain file of the machine; stays as it is where something is there */
  OP_PIVOT,       /* the base becomes the root, and the machine's tree is let go */
  OP_KINDS,
};

enum operation_flag {
  OP_INSIDE = 1,   /* the target is below the base */
  OP_OPTIONAL = 2, /* goes on where it fails */
};

struct operation {
  uint8_t kind, flags;
  uint32_t mode, mount_flags, device; /* device: major << 8 | minor */
  const char *source, *target;
  const char *data; /* NUL-terminated; of OP_WRITE it may hold others */
  uint32_t data_length;
};

struct user {
  uint32_t id, group, group_count, groups[GROUPS_MAX];
};

struct limit {
  uint32_t resource;
  uint64_t soft, hard;
};

struct program {
  char **argv, **environment;
  const char *folder;
  struct user user;
  uint64_t capabilities;
  struct sock_fprog filter; /* len 0: none */
  struct limit limits[LIMITS_MAX];
  uint32_t limit_count;
  uint32_t cgroup_count; /* the first files: where members of a cgroup are written, to be joined */
  bool counts_oom;       /* then a file that counts oom_kill */
  struct operation *operations;
  uint32_t operation_count;
};

/* program.c */
int parse_program(const uint8_t *bytes, size_t length, struct program *); /* points into bytes */
void free_program(struct program *);
void take_user(struct reader *, struct user *); /* u32 id, u32 group, u32 count, count times u32 */

/* operations.c */
int run_operations(const struct program *); /* in the child, in order; a fault of one that is not optional ends it */

/* fixed-end.c */
/* The end of every start in a container, which no program can leave out: limits, bounding set, ids, capabilities, the
 * working directory checked, files closed, no_new_privs, system call filter, exec. */
void enter_command(const struct program *, const struct user *, int status, char **argv, char **environment,
                   const char *folder) __attribute__((noreturn));
int keep_only(uint64_t capabilities); /* bounding, permitted, effective; inheritable and ambient become empty */

#endif
