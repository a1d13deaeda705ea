/* PID 1 of the lab: the loop, its clients, and who answers what they ask. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "request.h"
#include "start.h"

const char *state_folder;
int own_net, lab_proc, machine_proc;
bool rootless;
struct rlimit machine_files;
struct writer out;

static int loop;
static bool committed;

/* A message that its client had no room for. While there is one, nothing more is read from that client. */
struct queued {
  struct queued *next;
  size_t length;
  unsigned file_count;
  int files[FILES_MAX];
  uint8_t bytes[];
};

struct client {
  struct source source;
  struct client *next;
  bool first;
  struct queued *queue;
};
static struct client *clients;

void close_files(const int *files, unsigned count) {
  while (count) close(files[--count]);
}

int open_beneath(int folder, const char *path, int flags) {
  struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
  /* `self` is a plain link of procfs; all the others are refused. */
  if (strncmp(path, "self/", 5)) how.resolve |= RESOLVE_NO_SYMLINKS;
  return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

int write_file(int folder, const char *path, const char *text) {
  int fd = open_beneath(folder, path, O_WRONLY);
  if (fd < 0) return fail("open", path);
  ssize_t length = (ssize_t)strlen(text), written = write(fd, text, (size_t)length);
  int result = written == length ? 0 : fail("write", path);
  close(fd);
  return result;
}

static void set_events(struct source *s, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = s};
  if (epoll_ctl(loop, operation, s->fd, &event)) abort();
}

void watch(struct source *s, int fd, void (*ready)(struct source *)) {
  *s = (struct source){ready, fd};
  set_events(s, EPOLLIN, EPOLL_CTL_ADD);
}

void unwatch(struct source *s) {
  if (s->fd < 0) return;
  epoll_ctl(loop, EPOLL_CTL_DEL, s->fd, NULL);
  close(s->fd);
  s->fd = -1;
}

/* ---- clients ---- */

static void end_lab(void) __attribute__((noreturn));

static void drop_client(struct client *c) {
  struct client **link = &clients;
  while (*link != c) link = &(*link)->next;
  *link = c->next;
  forget_client(c);
  if (c->first && !committed) end_lab();
  while (c->queue) {
    struct queued *q = c->queue;
    c->queue = q->next;
    close_files(q->files, q->file_count);
    free(q);
  }
  unwatch(&c->source);
  free(c);
}

static bool try_send(struct client *c, const void *bytes, size_t length, const int *files, unsigned count) {
  /* A client that has gone is noticed by the loop; what was for it is as good as sent. */
  if (transmit(c->source.fd, bytes, length, files, count) < 0 && errno == EAGAIN) return false;
  close_files(files, count);
  return true;
}

static void flush_queue(struct source *s) {
  struct client *c = (struct client *)s;
  while (c->queue && try_send(c, c->queue->bytes, c->queue->length, c->queue->files, c->queue->file_count)) {
    struct queued *q = c->queue;
    c->queue = q->next;
    free(q);
  }
}

void answer(struct client *c, const int *files, unsigned count) {
  if (!c) {
    close_files(files, count);
    return;
  }
  if (!c->queue && try_send(c, out.bytes, out.length, files, count)) return;
  struct queued **link = &c->queue, *q = malloc(sizeof *q + out.length);
  if (!q) abort();
  *q = (struct queued){.length = out.length, .file_count = count};
  if (count) memcpy(q->files, files, count * sizeof *files);
  memcpy(q->bytes, out.bytes, out.length);
  while (*link) link = &(*link)->next;
  *link = q;
  set_events(&c->source, EPOLLOUT, EPOLL_CTL_MOD);
}

void answer_fault(struct client *c, uint32_t serial) {
  put_header(&out, FAILED, serial);
  put_u32(&out, (uint32_t)fault.error);
  put_string(&out, fault.step);
  put_string(&out, fault.path);
  answer(c, NULL, 0);
}

/* ---- requests: those of the lab and of its processes; the others have files of their own (request.h) ---- */

int malformed(void) { return fail_with(EBADMSG, "read the request", ""); }

static int hello(struct call *call) {
  if (!took_all(call->in)) return malformed();
  put_u32(&out, PROTOCOL_VERSION);
  put_u8(&out, rootless);
  return 0;
}

static int start_process(struct call *call) {
  call->deferred = true;
  return spawn(call->client, call->serial, call->in, call->files, call->file_count);
}

static int start_first(struct call *call) {
  call->deferred = true;
  return start_container(call->client, call->serial, call->in, call->files, call->file_count);
}

static int signal_one(struct call *call) {
  uint32_t id = take_u32(call->in), number = take_u32(call->in);
  if (!took_all(call->in)) return malformed();
  const struct process *p = find_process(id);
  return p ? signal_process(p, (int)number) : -1;
}

static int wait_one(struct call *call) {
  uint32_t id = take_u32(call->in);
  if (!took_all(call->in)) return malformed();
  struct process *p = find_process(id);
  if (!p) return -1;
  call->deferred = true;
  wait_for(p, call->client, call->serial);
  return 0;
}

static int commit(struct call *call) {
  if (!took_all(call->in)) return malformed();
  committed = true;
  return 0;
}

static int shut_down(struct call *call) {
  if (!took_all(call->in)) return malformed();
  end_lab();
}

static int (*const requests[])(struct call *) = {
    [HELLO] = hello,
    [CREATE_NODES] = create_all,
    [ADOPT_NODE] = adopt,
    [REMOVE_NODE] = remove_node,
    [LIST_NODES] = list_nodes,
    [OPEN_NAMESPACES] = open_namespaces,
    [OPEN_SOCKETS] = open_sockets,
    [READ_SYSCTLS] = read_sysctls,
    [WRITE_SYSCTLS] = write_sysctls,
    [OPEN_PROC_NET] = open_proc_net,
    [SPAWN] = start_process,
    [START_CONTAINER] = start_first,
    [SIGNAL] = signal_one,
    [WAIT] = wait_one,
    [COMMIT] = commit,
    [SHUTDOWN] = shut_down,
};

static void serve(struct source *s) {
  static uint8_t bytes[MESSAGE_MAX];
  struct client *c = (struct client *)s;
  int files[FILES_MAX];
  unsigned file_count;
  if (c->queue) {
    flush_queue(s);
    if (!c->queue) set_events(s, EPOLLIN, EPOLL_CTL_MOD);
    return;
  }
  ssize_t length = receive(s->fd, bytes, sizeof bytes, files, &file_count);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0) {
    drop_client(c);
    return;
  }
  struct reader in = {bytes, bytes + length, false};
  uint32_t total = take_u32(&in), kind = take_u32(&in);
  struct call call = {.client = c, .serial = take_u32(&in), .in = &in, .files = files, .file_count = file_count};
  if (in.bad || total != (size_t)length || kind >= sizeof requests / sizeof *requests || !requests[kind]) {
    close_files(files, file_count);
    drop_client(c); /* it speaks something else */
    return;
  }
  put_header(&out, DONE, call.serial);
  int result = requests[kind](&call);
  if (!result && out.full) result = fail_with(EMSGSIZE, "write the answer", "");
  close_files(files, file_count);
  if (result) {
    close_files(call.opened, call.opened_count);
    answer_fault(c, call.serial);
  } else if (!call.deferred) {
    answer(c, call.opened, call.opened_count);
  }
}

static void add_client(int fd, bool first) {
  struct client *c = calloc(1, sizeof *c);
  if (!c) abort();
  c->first = first;
  c->next = clients;
  clients = c;
  watch(&c->source, fd, serve);
}

/* The socket is 0600 in a folder of its owner. Its owner may speak, and root, who reads as an unmapped id (overflow)
 * in a user namespace that maps only its owner. */
static void accept_client(struct source *s) {
  static int reserve = -1; /* when init has no descriptor left, one to take a client with, or the loop would spin */
  int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (fd < 0 && reserve >= 0) {
    close(reserve);
    reserve = -1;
    close(accept4(s->fd, NULL, NULL, SOCK_CLOEXEC));
  }
  if (reserve < 0) reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  bool known = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
               (peer.uid == geteuid() || peer.uid == 0 || (rootless && peer.uid == 65534));
  if (known) add_client(fd, false);
  else close(fd);
}

/* ---- the life of the lab ---- */

static void end_lab(void) {
  kill(-1, SIGSTOP); /* so that no new connection takes the place of one that is reset */
  for (const struct node *n = nodes; n; n = n->next) destroy_sockets(n);
  end_every_process();
  _exit(0); /* the kernel frees the namespaces, and whatever is in them */
}

static void take_signal(struct source *s) {
  struct signalfd_siginfo info;
  if (read(s->fd, &info, sizeof info) != sizeof info) return;
  if (info.ssi_signo == SIGCHLD) reap();
  else end_lab();
}

static int listen_for_clients(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "init.sock"};
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || chdir(state_folder))
    return fail("enter the state folder", state_folder); /* a path has no limit there */
  mode_t before = umask(0177);
  unlink("init.sock");
  int result = bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64)
                   ? fail("listen on init.sock in", state_folder)
                   : fd;
  umask(before);
  return chdir("/") ? fail("enter", "/") : result;
}

static void raise_file_limit(void) {
  if (getrlimit(RLIMIT_NOFILE, &machine_files)) abort();
  struct rlimit limit = {machine_files.rlim_max, machine_files.rlim_max};
  setrlimit(RLIMIT_NOFILE, &limit);
}

void run_init(int first_client) {
  static struct source listener, signals;
  sigset_t caught;
  sigemptyset(&caught);
  sigaddset(&caught, SIGCHLD);
  sigaddset(&caught, SIGTERM);
  sigaddset(&caught, SIGINT);
  sigprocmask(SIG_BLOCK, &caught, NULL);
  signal(SIGPIPE, SIG_IGN);
  raise_file_limit();
  loop = epoll_create1(EPOLL_CLOEXEC);
  int socket = listen_for_clients();
  if (socket < 0) report_and_exit(first_client);
  watch(&listener, socket, accept_client);
  watch(&signals, signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK), take_signal);
  add_client(first_client, true);
  for (;;) {
    struct epoll_event event;
    if (epoll_wait(loop, &event, 1, -1) == 1) {
      struct source *s = event.data.ptr;
      s->ready(s);
    }
  }
}
