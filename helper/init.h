/* What the files of init share: the loop's sources, the answer to a client, nodes, processes. All of it is one
 * thread; nothing here blocks for longer than the kernel takes to make or free a namespace. */
#ifndef YAPC_INIT_H
#define YAPC_INIT_H

#include <sys/resource.h>

#include "wire.h"

/* init.c: the loop */
struct source { /* embedded in what it belongs to; the loop takes one event at a time, so `ready` may free it */
  void (*ready)(struct source *);
  int fd; /* -1: not watched */
};
void watch(struct source *, int fd, void (*ready)(struct source *)); /* owns fd from here on */
void unwatch(struct source *);                                       /* closes it */

struct client;
extern struct writer out; /* the answer that is being written */
/* Sends `out`. The files are the message's from here on. A NULL client has gone: nothing is sent. */
void answer(struct client *, const int *files, unsigned count);
void answer_fault(struct client *, uint32_t serial);

extern const char *state_folder;
extern int own_net;      /* init's network namespace: where it is between two calls */
extern int lab_proc;     /* /proc of the lab */
extern int machine_proc; /* /proc as the machine sees it: tells pids that a client can use */
extern bool rootless;
extern struct rlimit machine_files; /* RLIMIT_NOFILE as it was: init's own is higher */
void close_files(const int *files, unsigned count);
int open_beneath(int folder, const char *path, int flags);      /* no links, no way out, no other mount */
int write_file(int folder, const char *path, const char *text); /* one write(2), through open_beneath */

/* node.c: the network namespaces of the lab */
struct node {
  struct node *next;
  const char *name;
  bool container, adopted; /* adopted: others live there, whose connections are none of ours */
  bool fresh;              /* no sysctl was written yet: nothing hangs on a value but the value */
  int net, user;           /* held until the node goes; user is -1 where there is no nested user namespace */
  uint64_t inode;
  struct process *first; /* of the container that runs */
  bool ended, out_of_memory;
  int wait_status; /* of the container that ran last */
};
extern struct node *nodes;
struct node *find_node(const char *name); /* NULL: a fault */
int create_nodes(char *const *names, uint32_t count, bool containers); /* a fault: the caller forgets those that are new */
int adopt_node(const char *name, int net);
void forget_node(struct node *);
int enter_node(const struct node *); /* the caller's network namespace is the node's until leave_node() */
void leave_node(void);
int node_namespace(const struct node *);            /* a descriptor of its own */
int node_socket(const struct node *, const int of[3]); /* family, type, protocol */
int enter_sysctls(const struct node *);         /* as enter_node(), to open_sysctl() there */
int open_sysctl(const char *dotted, int flags); /* net.* only */
void destroy_sockets(const struct node *); /* TCP connections that a process holds are reset, in a node that is ours */

/* process.c */
struct process *find_process(uint32_t id); /* NULL: a fault */
int signal_process(const struct process *, int signal);
void wait_for(struct process *, struct client *, uint32_t serial);
void reap(void);
void forget_client(struct client *); /* its tied processes end, its waits are dropped */
void end_processes_of(struct node *);
void end_every_process(void); /* also those that no table knows; returns when they are reaped */
uint32_t machine_pid(const struct process *);
uint32_t process_id(const struct process *);

/* spawn.c and container.c: read the whole request; 0: the answer comes when the process runs, or could not be set up */
int spawn(struct client *, uint32_t serial, struct reader *, const int *files, unsigned file_count);
int start_container(struct client *, uint32_t serial, struct reader *, int *files, unsigned file_count);

#endif
