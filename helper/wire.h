/* wire: messages between a client and yapc-init, and the bounded reading of whatever comes from outside.
 *
 * One message is one datagram of a SOCK_SEQPACKET socket: u32 length (all of it), u32 kind, u32 serial, then fields.
 * Numbers are little-endian. A string is u32 length, its bytes, and a NUL that the length does not count, so that it
 * can be used where it lies. A reader never passes its end: the first short or malformed field marks it bad, and from
 * then on every field reads as empty. */
#ifndef YAPC_WIRE_H
#define YAPC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
  PROTOCOL_VERSION = 3,
  HEADER_BYTES = 12,
  MESSAGE_MAX = 160 * 1024, /* below the default socket buffer, 208 KiB */
  PROGRAM_MAX = 4 << 20,    /* container programs come in a memfd */
  FILES_MAX = 253,          /* descriptors with one message: SCM_MAX_FD (net/scm.h) */
};

enum request {
  HELLO = 1,       /* -> u32 version, u8 rootless */
  CREATE_NODES,    /* strings names, strings names of container nodes */
  ADOPT_NODE,      /* string name; 1 file: its network namespace */
  REMOVE_NODE,     /* string name */
  LIST_NODES,      /* u32 first -> u8 more, u32 count, entries (node-requests.c) */
  OPEN_NAMESPACES, /* strings nodes -> a file each, at most FILES_MAX */
  OPEN_SOCKETS,    /* strings nodes, u32 family, u32 type, u32 protocol -> a file each, at most FILES_MAX */
  READ_SYSCTLS,    /* string node, strings names -> count times: u8 there, string value */
  WRITE_SYSCTLS,   /* string node, u32 count, count times: string name, string value, u8 may be absent */
  OPEN_PROC_NET,   /* string node, string path -> 1 file */
  SPAWN,           /* string node, u8 flags, string cwd, strings argv, strings env, (user), (size); 0 or 3 files -> STARTED */
  START_CONTAINER, /* string node, u8 flags, string log path, (size); files: program, (3 stdio), its own -> STARTED */
  SIGNAL,          /* u32 process, u32 signal */
  WAIT,            /* u32 process -> EXITED, with the serial of this request */
  COMMIT,
  SHUTDOWN,
};

enum answer {
  DONE = 100, /* fields of the request's own */
  FAILED,     /* u32 errno, string step, string path */
  STARTED,    /* u32 process, u32 pid as the machine sees it; 1 file with a pty: its master */
  EXITED,     /* u32 process, u32 wait status, u8 out of memory: of STARTED's serial or of WAIT's */
};

enum spawn_flag {
  SPAWN_TIED = 1,      /* ends when its client's connection does */
  SPAWN_PTY = 2,       /* a new pty instead of three files; its size: u32 columns << 16 | rows */
  SPAWN_CONTAINER = 4, /* into the node's container, not only its network namespace */
  SPAWN_OWN_VIEW = 8,  /* /sys, /etc/hosts and /etc/resolv.conf are the node's */
  SPAWN_STDIO = 16,    /* START_CONTAINER: three files of the client are its stdio; there is no log */
  SPAWN_USER = 32,     /* SPAWN into a container: as this user and not as that of its command */
};

struct reader {
  const uint8_t *at, *end;
  bool bad;
};

uint8_t take_u8(struct reader *);
uint32_t take_u32(struct reader *);
uint64_t take_u64(struct reader *);
const uint8_t *take_bytes(struct reader *, uint32_t *length); /* u32 length, then that many */
const char *take_string(struct reader *);                     /* "" where bad */
char **take_strings(struct reader *, uint32_t *count);        /* u32 count, strings; NULL-terminated, for free() */
bool took_all(const struct reader *);                         /* nothing bad, nothing left over */

struct writer {
  uint8_t bytes[MESSAGE_MAX];
  size_t length;
  bool full;
};

void put_header(struct writer *, uint32_t kind, uint32_t serial);
void put_u8(struct writer *, uint8_t);
void put_u32(struct writer *, uint32_t);
void put_u64(struct writer *, uint64_t);
void put_string(struct writer *, const char *);
void put_string_bytes(struct writer *, const char *, size_t);

/* One datagram with its descriptors (close-on-exec). Bytes read; 0 at the end; -1 with errno (EMSGSIZE: cut off). */
ssize_t receive(int socket, void *bytes, size_t size, int files[FILES_MAX], unsigned *file_count);
ssize_t transmit(int socket, const void *bytes, size_t size, const int *files, unsigned file_count);

/* What went wrong: the step that was tried, on what, errno. Kept where it happened, told to the client. */
struct fault {
  int error;
  char step[48];
  char path[256];
};
extern struct fault fault;
int fail(const char *step, const char *path);                 /* of errno; returns -1 */
int fail_with(int error, const char *step, const char *path); /* returns -1 */

#endif
