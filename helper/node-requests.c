/* Requests that make, adopt, free and list nodes. */
#include <stdlib.h>

#include "request.h"

struct node *take_node(struct call *call) {
  const char *name = take_string(call->in);
  return call->in->bad ? malformed(), NULL : find_node(name);
}

int create_all(struct call *call) {
  uint32_t counts[2];
  char **plain = take_strings(call->in, &counts[0]), **containers = take_strings(call->in, &counts[1]);
  struct node *before = nodes;
  int result = took_all(call->in) ? 0 : malformed();
  if (!result) result = create_nodes(plain, counts[0], false);
  if (!result) result = create_nodes(containers, counts[1], true);
  while (result && nodes != before) forget_node(nodes); /* all of them or none */
  free(plain);
  free(containers);
  return result;
}

int adopt(struct call *call) {
  const char *name = take_string(call->in);
  if (!took_all(call->in) || call->file_count != 1) return malformed();
  return adopt_node(name, call->files[0]);
}

int remove_node(struct call *call) {
  struct node *n = take_node(call);
  if (!n) return -1;
  if (!took_all(call->in)) return malformed();
  end_processes_of(n);
  destroy_sockets(n);
  forget_node(n);
  return 0;
}

int list_nodes(struct call *call) {
  uint32_t first = take_u32(call->in), count = 0, index = 0;
  if (!took_all(call->in)) return malformed();
  struct node *n = nodes;
  while (n && index < first) n = n->next, index++;
  uint32_t most = 500; /* of at most 200 bytes each: they fit */
  for (const struct node *m = n; m && count < most; m = m->next) count++;
  const struct node *m = n;
  for (uint32_t i = 0; i < count; i++) m = m->next;
  put_u8(&out, m != NULL);
  put_u32(&out, count);
  for (; n != m; n = n->next) {
    put_string(&out, n->name);
    put_u8(&out, n->container);
    put_u64(&out, n->inode);
    put_u32(&out, (uint32_t)n->net);
    put_u32(&out, n->first ? process_id(n->first) : 0);
    put_u32(&out, n->first ? machine_pid(n->first) : 0);
    put_u8(&out, n->ended);
    put_u32(&out, (uint32_t)n->wait_status);
    put_u8(&out, n->out_of_memory);
  }
  return 0;
}
