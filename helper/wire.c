#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fault fault;

int fail_with(int error, const char *step, const char *path) {
  fault.error = error;
  snprintf(fault.step, sizeof fault.step, "%s", step);
  snprintf(fault.path, sizeof fault.path, "%s", path);
  return -1;
}

int fail(const char *step, const char *path) { return fail_with(errno, step, path); }

/* The next `size` bytes, or NULL and a reader that is bad from here on. */
static const uint8_t *advance(struct reader *r, size_t size) {
  if (r->bad || (size_t)(r->end - r->at) < size) {
    r->bad = true;
    return NULL;
  }
  const uint8_t *here = r->at;
  r->at += size;
  return here;
}

uint8_t take_u8(struct reader *r) {
  const uint8_t *b = advance(r, 1);
  return b ? b[0] : 0;
}

uint32_t take_u32(struct reader *r) {
  const uint8_t *b = advance(r, 4);
  return b ? (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24 : 0;
}

uint64_t take_u64(struct reader *r) {
  uint64_t low = take_u32(r);
  return low | (uint64_t)take_u32(r) << 32;
}

const uint8_t *take_bytes(struct reader *r, uint32_t *length) {
  *length = take_u32(r);
  const uint8_t *bytes = advance(r, *length);
  if (!bytes) *length = 0;
  return bytes;
}

const char *take_string(struct reader *r) {
  uint32_t length = take_u32(r);
  const uint8_t *bytes = r->bad || length == UINT32_MAX ? NULL : advance(r, (size_t)length + 1);
  if (!bytes || memchr(bytes, 0, length) || bytes[length] != 0) {
    r->bad = true;
    return "";
  }
  return (const char *)bytes;
}

char **take_strings(struct reader *r, uint32_t *count) {
  *count = take_u32(r);
  /* A string takes five bytes at least: a count that cannot be true allocates nothing. */
  if (r->bad || *count > (size_t)(r->end - r->at) / 5) r->bad = true, *count = 0;
  char **items = calloc((size_t)*count + 1, sizeof *items);
  if (!items) abort(); /* init cannot go on without memory; the kernel then ends the lab */
  for (uint32_t i = 0; i < *count; i++) items[i] = (char *)take_string(r);
  return items;
}

bool took_all(const struct reader *r) { return !r->bad && r->at == r->end; }

static void put(struct writer *w, const void *bytes, size_t size) {
  if (w->full || sizeof w->bytes - w->length < size) {
    w->full = true;
    return;
  }
  memcpy(w->bytes + w->length, bytes, size);
  w->length += size;
  uint32_t total = (uint32_t)w->length;
  const uint8_t prefix[4] = {total & 255, total >> 8 & 255, total >> 16 & 255, total >> 24};
  memcpy(w->bytes, prefix, sizeof prefix);
}

void put_header(struct writer *w, uint32_t kind, uint32_t serial) {
  w->length = 4; /* the length itself, which put() keeps */
  w->full = false;
  put_u32(w, kind);
  put_u32(w, serial);
}

void put_u8(struct writer *w, uint8_t value) { put(w, &value, 1); }

void put_u32(struct writer *w, uint32_t value) {
  const uint8_t bytes[4] = {value & 255, value >> 8 & 255, value >> 16 & 255, value >> 24};
  put(w, bytes, sizeof bytes);
}

void put_u64(struct writer *w, uint64_t value) {
  put_u32(w, (uint32_t)value);
  put_u32(w, (uint32_t)(value >> 32));
}

void put_string_bytes(struct writer *w, const char *bytes, size_t length) {
  put_u32(w, (uint32_t)length);
  put(w, bytes, length);
  put_u8(w, 0);
}

void put_string(struct writer *w, const char *text) { put_string_bytes(w, text, strlen(text)); }

union control {
  struct cmsghdr header;
  char space[CMSG_SPACE(sizeof(int) * FILES_MAX)];
};

ssize_t receive(int socket, void *bytes, size_t size, int files[FILES_MAX], unsigned *file_count) {
  union control control;
  struct iovec vector = {bytes, size};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t length;
  do length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (length < 0 && errno == EINTR);
  *file_count = 0;
  if (length < 0) return -1;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count && *file_count < FILES_MAX; i++)
      memcpy(&files[(*file_count)++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
  }
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
    while (*file_count) close(files[--*file_count]);
    errno = EMSGSIZE;
    return -1;
  }
  return length;
}

ssize_t transmit(int socket, const void *bytes, size_t size, const int *files, unsigned file_count) {
  union control control = {0};
  struct iovec vector = {(void *)bytes, size};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (file_count) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * file_count);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int) * file_count);
    memcpy(CMSG_DATA(&control.header), files, sizeof(int) * file_count);
  }
  ssize_t sent;
  do sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return sent;
}
