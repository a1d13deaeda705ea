/* The log of a container: a line of its output each, behind the time (RFC 3339, nanoseconds) and the stream's name. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

enum { LINE_MAX_BYTES = 16 * 1024, LOG_MAX_BYTES = 8 << 20 };

struct stream {
  struct source source;
  struct log *log;
  const char *name;
  size_t length;
  char line[LINE_MAX_BYTES];
};

struct log {
  char *path;
  int fd;
  off_t size;
  struct stream streams[2];
};

/* One older file is kept: PATH.1. */
static void open_log(struct log *log) {
  char older[4096];
  if (log->fd >= 0) {
    close(log->fd);
    if ((size_t)snprintf(older, sizeof older, "%s.1", log->path) < sizeof older) rename(log->path, older);
  }
  struct stat s = {0};
  log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  log->size = log->fd >= 0 && !fstat(log->fd, &s) ? s.st_size : 0;
}

static void write_line(struct stream *s, const char *text, size_t length) {
  struct log *log = s->log;
  struct timespec now;
  struct tm utc;
  char stamp[80], seconds[32];
  clock_gettime(CLOCK_REALTIME, &now);
  strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &utc));
  int prefix = snprintf(stamp, sizeof stamp, "%s.%09ldZ %s ", seconds, now.tv_nsec, s->name);
  struct iovec parts[] = {{stamp, (size_t)prefix}, {(void *)text, length}, {"\n", 1}};
  if (log->size > LOG_MAX_BYTES) open_log(log);
  ssize_t written = log->fd < 0 ? -1 : writev(log->fd, parts, 3); /* a full disk loses lines, not the container */
  if (written > 0) log->size += written;
}

static bool read_stream(struct stream *s) {
  ssize_t length = s->source.fd < 0 ? 0 : read(s->source.fd, s->line + s->length, sizeof s->line - s->length);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return errno == EINTR;
  if (length <= 0) {
    if (s->length) write_line(s, s->line, s->length);
    s->length = 0;
    unwatch(&s->source);
    return false;
  }
  s->length += (size_t)length;
  char *from = s->line, *end = s->line + s->length, *newline;
  while ((newline = memchr(from, '\n', (size_t)(end - from)))) {
    write_line(s, from, (size_t)(newline - from));
    from = newline + 1;
  }
  if (from == s->line && s->length == sizeof s->line) { /* a line as long as this is cut */
    write_line(s, s->line, s->length);
    from = end;
  }
  s->length = (size_t)(end - from);
  memmove(s->line, from, s->length);
  return true;
}

static void stream_ready(struct source *source) { read_stream((struct stream *)source); }

struct log *start_log(const char *path, int ends[2]) {
  struct log *log = calloc(1, sizeof *log);
  if (!log || !(log->path = strdup(path))) abort();
  log->fd = -1;
  log->streams[0].source.fd = log->streams[1].source.fd = -1;
  open_log(log);
  if (log->fd < 0) {
    fail("open the log", path);
    end_log(log);
    return NULL;
  }
  for (int i = 0; i < 2; i++) {
    int pipe_ends[2];
    struct stream *s = &log->streams[i];
    s->log = log;
    s->name = i ? "stderr" : "stdout";
    if (pipe2(pipe_ends, O_CLOEXEC)) {
      fail("make a pipe for the log", path);
      end_log(log);
      return NULL;
    }
    fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
    ends[i] = pipe_ends[1];
    watch(&s->source, pipe_ends[0], stream_ready);
  }
  return log;
}

void end_log(struct log *log) {
  if (!log) return;
  for (int i = 0; i < 2; i++) {
    /* What is left in the pipe; bounded, should somebody outside the container still hold it. */
    for (int turns = 0; turns < 1024 && read_stream(&log->streams[i]); turns++) continue;
    unwatch(&log->streams[i].source);
  }
  if (log->fd >= 0) close(log->fd);
  free(log->path);
  free(log);
}
