/* ids: the user namespace of a lab without root, and the ids that it maps. */
#ifndef YAPC_IDS_H
#define YAPC_IDS_H

#include <sys/types.h>

/* Beside the user's own id those that /etc/subuid and /etc/subgid give him, through setuid newuidmap(1). */
enum { UID_PROGRAM, UID_FIRST, UID_COUNT, GID_PROGRAM, GID_FIRST, GID_COUNT, RANGE_WORDS };

int make_user_namespace(char **ranges); /* RANGE_WORDS texts, or NULL: the user's own id alone */

/* A container's user namespace, below the lab's: its root is the user, the ranges are 1 and up. */
int map_nested(pid_t first_process);

#endif
