/* Processes: every one of them is a child of init, reports over a status socket until it runs, and is reaped here. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

static struct process *processes;
static uint32_t last_id;

struct process *find_process(uint32_t id) {
  struct process *p = processes;
  while (p && p->id != id) p = p->next;
  if (!p) fail_with(ESRCH, "find the process", "");
  return p;
}

uint32_t process_id(const struct process *p) { return p->id; }
uint32_t machine_pid(const struct process *p) { return p->machine_pid; }

/* A pidfd's fdinfo names its process in the PID namespace of the /proc that it is read through. */
static uint32_t read_machine_pid(pid_t pid) {
  char path[64], text[512];
  uint32_t result = 0;
  int handle = (int)syscall(SYS_pidfd_open, pid, 0);
  snprintf(path, sizeof path, "self/fdinfo/%d", handle);
  int fd = handle < 0 ? -1 : openat(machine_proc, path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  text[length > 0 ? length : 0] = 0;
  const char *line = strstr(text, "\nPid:");
  if (line) result = (uint32_t)strtoul(line + 5, NULL, 10);
  if (fd >= 0) close(fd);
  if (handle >= 0) close(handle);
  return result;
}

static void free_process(struct process *p) {
  struct process **link = &processes;
  while (*link != p) link = &(*link)->next;
  *link = p->next;
  free_container(p->container);
  unwatch(&p->status);
  if (p->terminal >= 0) close(p->terminal);
  if (p->inner[0] >= 0) close_files(p->inner, INNER_NAMESPACES);
  while (p->waiters) {
    struct waiter *w = p->waiters;
    p->waiters = w->next;
    free(w);
  }
  free(p);
}

void wait_for(struct process *p, struct client *c, uint32_t serial) {
  struct waiter *w = malloc(sizeof *w);
  if (!w) abort();
  *w = (struct waiter){p->waiters, c, serial};
  p->waiters = w;
}

static void tell_started(struct process *p) {
  p->state = RUNNING;
  put_header(&out, STARTED, p->start_serial);
  put_u32(&out, p->id);
  put_u32(&out, p->machine_pid);
  answer(p->starter, &p->terminal, p->terminal >= 0);
  p->terminal = -1;
  if (p->starter) wait_for(p, p->starter, p->start_serial);
}

static void tell_failed(struct process *p) {
  p->state = FAILED_TO_START;
  /* Whoever is told may try again at once: the place is free before the failed process is reaped. */
  if (p->node && p->node->first == p) p->node->first = NULL;
  answer_fault(p->starter, p->start_serial);
}

/* The next word of a child; false when there is none (yet). */
static bool take_report(struct process *p) {
  struct report report;
  int files[FILES_MAX];
  unsigned count;
  if (p->status.fd < 0) return false;
  ssize_t length = receive(p->status.fd, &report, sizeof report, files, &count);
  if (length < 0 && errno == EAGAIN) return false;
  if (length != sizeof report) { /* the end: exec closed it, or the child is gone */
    unwatch(&p->status);
    if (p->state == STARTING && !p->container) tell_started(p);
    return false;
  }
  switch (report.kind) {
    case REPORT_FAULT:
      fault = report.fault;
      /* The first process of a container lives beside code that nobody trusts: its word is not, either. */
      fault.step[sizeof fault.step - 1] = fault.path[sizeof fault.path - 1] = 0;
      if (p->state == STARTING) tell_failed(p);
      break;
    case REPORT_PID:
      if (p->state != STARTING || p->handed_over || report.value <= 1) break;
      p->handed_over = true;
      p->pid = (pid_t)report.value;
      p->machine_pid = read_machine_pid(p->pid);
      break;
    case REPORT_STARTED:
      if (p->state == STARTING) tell_started(p);
      break;
    case REPORT_STATUS:
      p->reported = true;
      p->wait_status = report.value;
      break;
    case REPORT_TERMINAL:
      if (count == 1 && p->terminal < 0) p->terminal = files[--count];
      break;
    case REPORT_NAMESPACES:
      if (p->container && count == INNER_NAMESPACES && p->inner[0] < 0) {
        memcpy(p->inner, files, sizeof p->inner);
        count = 0;
      }
      break;
  }
  close_files(files, count);
  return true;
}

static void hear(struct process *p) {
  while (take_report(p)) continue;
}

static void status_ready(struct source *s) {
  struct process *p = (struct process *)((char *)s - offsetof(struct process, status));
  take_report(p);
}

struct process *begin_process(struct client *c, uint32_t serial, struct node *n, bool tied, int *child_end) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) return fail("make a status socket", ""), NULL;
  struct process *p = calloc(1, sizeof *p);
  if (!p) abort();
  *p = (struct process){.next = processes,
                        .id = ++last_id,
                        .starter = c,
                        .start_serial = serial,
                        .tied = tied,
                        .node = n,
                        .terminal = -1,
                        .inner = {-1}};
  p->status.fd = -1;
  processes = p;
  watch(&p->status, ends[0], status_ready);
  *child_end = ends[1];
  return p;
}

void end_beginning(struct process *p, pid_t pid, int child_end) {
  close(child_end);
  p->pid = pid;
  p->machine_pid = read_machine_pid(pid);
}

void abandon_process(struct process *p, int child_end) {
  close(child_end);
  free_process(p);
}

int signal_process(const struct process *p, int signal) {
  return kill(p->pid, signal) ? fail("signal the process", "") : 0;
}

/* ---- the end ---- */

static void process_ended(struct process *p, int wait_status) {
  if (p->state == STARTING) { /* it neither ran nor said why: killed while it was set up */
    fail_with(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL ? ENOMEM : ECHILD,
              "set up the process, which was killed", "");
    tell_failed(p);
  }
  if (!p->reported) p->wait_status = wait_status;
  bool out_of_memory = p->container && container_ended(p->container);
  if (p->node && p->node->first == p) {
    p->node->first = NULL;
    p->node->ended = p->state == RUNNING;
    p->node->wait_status = p->wait_status;
    p->node->out_of_memory = out_of_memory;
  }
  for (struct waiter *w = p->waiters; w; w = w->next) {
    put_header(&out, EXITED, w->serial);
    put_u32(&out, p->id);
    put_u32(&out, (uint32_t)p->wait_status);
    put_u8(&out, out_of_memory);
    answer(w->client, NULL, 0);
  }
  free_process(p);
}

static struct process *of_pid(pid_t pid) {
  struct process *p = processes;
  while (p && p->pid != pid) p = p->next;
  return p;
}

void reap(void) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
    /* What starts in a container hands over to a child of init's, and its word for that may still lie unread: then one
     * pid is not known yet, and the other is still taken for the process. */
    struct process *p = of_pid(pid);
    if (p) hear(p);
    else
      for (p = processes; p; p = p->next) hear(p);
    p = of_pid(pid);
    if (p) process_ended(p, status); /* else the one that handed over, or an orphan that fell to PID 1 */
  }
}

/* A process leads its session and group from its first steps on; before them it is alone. */
static void kill_group(const struct process *p) {
  kill(p->pid, SIGKILL);
  kill(-p->pid, SIGKILL);
}

void forget_client(struct client *c) {
  for (struct process *p = processes; p; p = p->next) {
    for (struct waiter **link = &p->waiters; *link;) {
      struct waiter *w = *link;
      if (w->client != c) {
        link = &w->next;
        continue;
      }
      *link = w->next;
      free(w);
    }
    if (p->starter != c) continue;
    p->starter = NULL;
    if (p->tied) kill_group(p);
  }
}

void end_processes_of(struct node *n) {
  for (struct process *p = processes; p; p = p->next) {
    if (p->node != n) continue;
    kill_group(p);
    p->node = NULL;
  }
}

void end_every_process(void) {
  kill(-1, SIGKILL);
  while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR) continue;
}
