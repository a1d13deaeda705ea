/* Requests that read and write the sysctls of a node's network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "request.h"

int read_sysctls(struct call *call) {
  const struct node *n = take_node(call);
  uint32_t count;
  char **names = take_strings(call->in, &count), value[4096];
  int result = !n ? -1 : took_all(call->in) ? enter_sysctls(n) : malformed();
  bool inside = !result;
  for (uint32_t i = 0; !result && i < count; i++) {
    int fd = open_sysctl(names[i], O_RDONLY);
    ssize_t length = fd < 0 ? 0 : read(fd, value, sizeof value);
    if (length < 0) result = fail("read the sysctl", names[i]);
    if (fd < 0 && fault.error != ENOENT) result = -1;
    if (length > 0 && value[length - 1] == '\n') length--;
    put_u8(&out, fd >= 0);
    put_string_bytes(&out, value, length > 0 ? (size_t)length : 0);
    if (fd >= 0) close(fd);
  }
  if (inside) leave_node();
  free(names);
  return result;
}

static bool reads_as(int fd, const char *value) {
  char text[64];
  ssize_t length = pread(fd, text, sizeof text, 0);
  if (length > 0 && text[length - 1] == '\n') length--;
  return length >= 0 && (size_t)length == strlen(value) && !memcmp(text, value, (size_t)length);
}

/* The next name, value and whether there may be no such file. */
static int write_sysctl(struct reader *in, bool fresh) {
  const char *name = take_string(in), *value = take_string(in);
  bool optional = take_u8(in);
  int fd = open_sysctl(name, fresh ? O_RDWR : O_WRONLY), result = 0;
  if (fd < 0 && fresh && fault.error == EACCES) fd = open_sysctl(name, O_WRONLY);
  if (fd < 0) return optional && fault.error == ENOENT ? 0 : -1;
  /* Many writes wait for the link lock, also those that change nothing. */
  if (!(fresh && reads_as(fd, value)) && write(fd, value, strlen(value)) < 0) result = fail("write the sysctl", name);
  close(fd);
  return result;
}

int write_sysctls(struct call *call) {
  struct node *n = take_node(call);
  uint32_t count = take_u32(call->in);
  struct reader entries = *call->in;
  if (!n) return -1;
  for (uint32_t i = 0; i < count && !call->in->bad; i++)
    take_string(call->in), take_string(call->in), take_u8(call->in);
  if (!took_all(call->in)) return malformed(); /* before the first is written */
  if (enter_sysctls(n)) return -1;
  int result = 0;
  for (uint32_t i = 0; !result && i < count; i++) result = write_sysctl(&entries, n->fresh);
  n->fresh = false;
  leave_node();
  return result;
}
