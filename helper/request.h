/* What init.c hands to the requests that have files of their own. */
#ifndef YAPC_REQUEST_H
#define YAPC_REQUEST_H

#include "init.h"

struct call {
  struct client *client;
  uint32_t serial;
  struct reader *in;
  int *files; /* came with the request; init closes them, whatever becomes of it */
  unsigned file_count;
  int opened[FILES_MAX]; /* go with the answer; closed where there is a fault */
  unsigned opened_count;
  bool deferred; /* someone else answers */
};

/* Each reads its fields (enum request), then writes those of its answer behind the header in `out`; -1 is a fault. */

/* node-requests.c: which nodes there are */
int create_all(struct call *);
int adopt(struct call *);
int remove_node(struct call *);
int list_nodes(struct call *);

/* descriptor-requests.c: what is opened in a node, and belongs to the client from then on */
int open_namespaces(struct call *);
int open_sockets(struct call *);
int open_proc_net(struct call *);

/* sysctl-requests.c: of one node, any number at once */
int read_sysctls(struct call *);
int write_sysctls(struct call *);

int malformed(void);                   /* the fault of a request whose fields are not what they should be */
struct node *take_node(struct call *); /* the name that the request begins with; NULL: a fault */

#endif
