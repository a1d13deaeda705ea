/* Requests that are answered with descriptors: of namespaces, of sockets in them, of files below /proc/net. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

static int keep_opened(struct call *call, int file) {
  if (file < 0) return -1;
  call->opened[call->opened_count++] = file;
  return 0;
}

/* One file of each node, in their order: all of them or none, since what was opened before a fault is closed. */
static int open_each(struct call *call, char **names, uint32_t count, const int *socket) {
  if (count > FILES_MAX) return fail_with(EMSGSIZE, "open files of so many nodes", "");
  for (uint32_t i = 0; i < count; i++) {
    const struct node *n = find_node(names[i]);
    if (!n || keep_opened(call, socket ? node_socket(n, socket) : node_namespace(n))) return -1;
  }
  return 0;
}

int open_namespaces(struct call *call) {
  uint32_t count;
  char **names = take_strings(call->in, &count);
  int result = took_all(call->in) ? open_each(call, names, count, NULL) : malformed();
  free(names);
  return result;
}

int open_sockets(struct call *call) {
  uint32_t count;
  char **names = take_strings(call->in, &count);
  int socket[3]; /* family, type, protocol */
  for (int i = 0; i < 3; i++) socket[i] = (int)take_u32(call->in);
  int result = took_all(call->in) ? open_each(call, names, count, socket) : malformed();
  free(names);
  return result;
}

/* The descriptor stays in the node's namespace: the client reads it at its own pace. */
int open_proc_net(struct call *call) {
  const struct node *n = take_node(call);
  const char *name = take_string(call->in);
  char path[128];
  if (!n) return -1;
  if (!took_all(call->in) || strstr(name, "..") || strlen(name) > 64) return malformed();
  snprintf(path, sizeof path, "self/net/%s", name);
  if (enter_node(n)) return -1;
  int file = open_beneath(lab_proc, path, O_RDONLY);
  if (file < 0) fail("open", path + strlen("self/"));
  leave_node();
  return keep_opened(call, file);
}
