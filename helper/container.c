#include "process.h"
#include <errno.h>
void free_container(struct container *c) { (void)c; }
bool container_ended(struct container *c) { (void)c; return false; }
int start_container(struct client *c, uint32_t s, struct reader *r, int *f, unsigned n) { (void)c; (void)s; (void)r; (void)f; (void)n; return fail_with(ENOSYS, "start a container", ""); }
