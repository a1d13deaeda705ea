/* Between process.c (what all processes share), child.c (what their children do first), spawn.c and container.c. */
#ifndef YAPC_PROCESS_H
#define YAPC_PROCESS_H

#include "init.h"

enum { INNER_NAMESPACES = 5 }; /* cgroup, ipc, uts, pid, mnt: in the order in which they are joined */

/* One datagram of a child to init. */
struct report {
  enum {
    REPORT_FAULT,      /* it could not be set up; exits */
    REPORT_PID,        /* value: from now on the process is this one (init's PID namespace) */
    REPORT_STARTED,    /* the command of a container runs */
    REPORT_STATUS,     /* value: wait status of the command of a container */
    REPORT_TERMINAL,   /* 1 file: the master of its pty */
    REPORT_NAMESPACES, /* INNER_NAMESPACES files */
  } kind;
  int value;
  struct fault fault;
};

struct waiter {
  struct waiter *next;
  struct client *client;
  uint32_t serial;
};

struct process {
  struct process *next;
  uint32_t id, machine_pid;
  pid_t pid; /* in init's PID namespace */
  enum { STARTING, RUNNING, FAILED_TO_START } state;
  struct source status;
  struct client *starter; /* NULL once it has gone */
  uint32_t start_serial;
  bool tied, reported, handed_over;
  int terminal;    /* master of its pty until it is handed over; -1 */
  int wait_status; /* with `reported`: what it said itself */
  struct node *node;
  struct container *container; /* of a first process */
  int inner[INNER_NAMESPACES]; /* its namespaces, for those who come later; inner[0] is -1 before */
  struct waiter *waiters;
};

/* Adds a process to the table; then fork, and end_beginning() or abandon_process(). `child_end`: its status socket */
struct process *begin_process(struct client *, uint32_t serial, struct node *, bool tied, int *child_end);
void end_beginning(struct process *, pid_t, int child_end);
void abandon_process(struct process *, int child_end);

/* child.c: between fork and exec; `status` is the child's end of the status socket */
void child_defaults(void);                  /* own session, default signals, not dumpable */
int take_terminal(int slave);               /* it controls the session, and is 0, 1 and 2 */
void set_size(int terminal, uint32_t size); /* columns << 16 | rows */
int take_files(const int files[3]);         /* they are 0, 1 and 2, and block */
void send_report(int status, struct report, const int *files, unsigned count);
void report_fault(int status) __attribute__((noreturn)); /* tells init `fault`, and exits */
void give_up(int status, const char *step, const char *path) __attribute__((noreturn)); /* likewise, of errno */

/* spawn.c */
struct command {           /* what SPAWN asks for */
  const struct node *node; /* NULL: the lab's own namespace */
  uint32_t flags;
  const char *folder;
  char **argv, **environment;
  const int *files; /* three, or none with a pty */
  uint32_t size;    /* of a pty: columns << 16 | rows */
  int slave;        /* of a pty of the lab; -1 */
  const struct user *user; /* in a container; NULL: that of its command */
};

/* container.c */
void become_guest(const struct command *, int status)
    __attribute__((noreturn));           /* in the child: joins the node's container */
void free_container(struct container *); /* NULL is fine */
bool container_ended(
    struct container *); /* flushes its log; true: the kernel ended something in it for want of memory */

/* log.c */
struct log *start_log(const char *path, int ends[2]); /* ends: what stdout and stderr are written to; NULL: a fault */
void end_log(struct log *);                           /* NULL is fine */

#endif
