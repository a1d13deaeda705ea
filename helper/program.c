#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void parse_operation(struct reader *r, struct operation *o) {
  *o = (struct operation){
      .kind = take_u8(r), .flags = take_u8(r), .mode = take_u32(r), .mount_flags = take_u32(r), .device = take_u32(r)};
  o->source = take_string(r);
  o->target = take_string(r);
  o->data = (const char *)take_bytes(r, &o->data_length);
  if (take_u8(r) != 0 || !o->data) {
    r->bad = true;
    return;
  }
  bool text = o->kind == OP_WRITE || !memchr(o->data, 0, o->data_length);
  bool known = o->kind > 0 && o->kind < OP_KINDS && !(o->flags & ~(OP_INSIDE | OP_OPTIONAL)) && !(o->mode & ~07777U);
  if (!text || !known) r->bad = true;
}

void take_user(struct reader *r, struct user *u) {
  u->id = take_u32(r);
  u->group = take_u32(r);
  u->group_count = take_u32(r);
  if (u->group_count > GROUPS_MAX) r->bad = true, u->group_count = 0;
  for (uint32_t i = 0; i < u->group_count; i++) u->groups[i] = take_u32(r);
}

static void parse_settings(struct reader *r, struct program *p) {
  uint32_t count, length;
  p->argv = take_strings(r, &count);
  if (!count) r->bad = true;
  p->environment = take_strings(r, &count);
  p->folder = take_string(r);
  take_user(r, &p->user);
  p->capabilities = take_u64(r);
  const uint8_t *filter = take_bytes(r, &length);
  if (length % sizeof(struct sock_filter) || length > BPF_MAXINSNS * sizeof(struct sock_filter))
    r->bad = true, length = 0;
  p->filter.len = (unsigned short)(length / sizeof(struct sock_filter));
  p->filter.filter = length ? malloc(length) : NULL; /* aligned */
  if (length) memcpy(p->filter.filter, filter, length);
  p->limit_count = take_u32(r);
  if (p->limit_count > LIMITS_MAX) r->bad = true, p->limit_count = 0;
  for (uint32_t i = 0; i < p->limit_count; i++) p->limits[i] = (struct limit){take_u32(r), take_u64(r), take_u64(r)};
  p->cgroup_count = take_u32(r);
  p->counts_oom = take_u8(r);
}

int parse_program(const uint8_t *bytes, size_t length, struct program *p) {
  struct reader r = {bytes, bytes + length, false};
  if (take_u32(&r) != PROGRAM_MAGIC || take_u32(&r) != PROGRAM_VERSION)
    return fail_with(EBADMSG, "read the program", "");
  parse_settings(&r, p);
  p->operation_count = take_u32(&r);
  if (p->operation_count > (size_t)(r.end - r.at) / 14) r.bad = true, p->operation_count = 0;
  p->operations = calloc(p->operation_count + 1, sizeof *p->operations);
  if (!p->operations) abort();
  for (uint32_t i = 0; i < p->operation_count; i++) parse_operation(&r, &p->operations[i]);
  if (took_all(&r)) return 0;
  free_program(p);
  return fail_with(EBADMSG, "read the program", "");
}

void free_program(struct program *p) {
  free(p->argv);
  free(p->environment);
  free(p->filter.filter);
  free(p->operations);
  *p = (struct program){0};
}
