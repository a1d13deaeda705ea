#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ids.h"
#include "init.h"

static char nested_uid_map[64], nested_gid_map[64];
static bool several_groups; /* were mapped by one who may: then setgroups(2) need not be denied */

static int map_with(const char *program, pid_t target, unsigned own, const char *first, const char *count) {
  char pid[16], id[16];
  snprintf(pid, sizeof pid, "%d", target);
  snprintf(id, sizeof id, "%u", own);
  pid_t mapper = fork();
  if (mapper == 0) {
    execl(program, program, pid, id, id, "1", first, first, count, (char *)NULL);
    _exit(127);
  }
  int status;
  return mapper > 0 && waitpid(mapper, &status, 0) == mapper && status == 0 ? 0 : -1;
}

enum mapped { MAPPED = 0, NOT_MAPPED = 1, HALF_MAPPED = 2 };

/* Stays where the ids mean what they always do: newuidmap asks whose process it maps. Groups first: while nothing is
 * mapped, the namespace can still map its own id by itself. */
static void map_when_told(int told, pid_t target, char **ranges) {
  char byte;
  if (read(told, &byte, 1) != 1) _exit(NOT_MAPPED);
  if (map_with(ranges[GID_PROGRAM], target, getegid(), ranges[GID_FIRST], ranges[GID_COUNT])) _exit(NOT_MAPPED);
  bool done = !map_with(ranges[UID_PROGRAM], target, geteuid(), ranges[UID_FIRST], ranges[UID_COUNT]);
  _exit(done ? MAPPED : HALF_MAPPED);
}

static int unshare_mapped(char **ranges, enum mapped *result) {
  int pipe_ends[2], status;
  pid_t self = getpid();
  *result = NOT_MAPPED;
  if (pipe2(pipe_ends, O_CLOEXEC)) return fail("make a pipe", "");
  pid_t mapper = fork();
  if (mapper == 0) {
    close(pipe_ends[1]);
    map_when_told(pipe_ends[0], self, ranges);
  }
  close(pipe_ends[0]);
  int failed = mapper < 0 ? fail("start a process", "") : unshare(CLONE_NEWUSER) ? fail("make a user namespace", "") : 0;
  if (!failed && write(pipe_ends[1], "", 1) != 1) failed = fail("reach", ranges[UID_PROGRAM]);
  close(pipe_ends[1]);
  if (mapper > 0 && waitpid(mapper, &status, 0) == mapper && WIFEXITED(status)) *result = (enum mapped)WEXITSTATUS(status);
  return failed;
}

/* The user is mapped to himself: as uid 0 of a map of one id tcpdump would not start (it calls initgroups). */
static int map_own_id(unsigned uid, unsigned gid) {
  char uid_map[32], gid_map[32];
  snprintf(uid_map, sizeof uid_map, "%u %u 1", uid, uid);
  snprintf(gid_map, sizeof gid_map, "%u %u 1", gid, gid);
  return write_file(machine_proc, "self/setgroups", "deny") || write_file(machine_proc, "self/uid_map", uid_map) ||
                 write_file(machine_proc, "self/gid_map", gid_map)
             ? -1
             : 0;
}

int make_user_namespace(char **ranges) {
  unsigned uid = geteuid(), gid = getegid();
  enum mapped result = NOT_MAPPED;
  snprintf(nested_uid_map, sizeof nested_uid_map, "0 %u 1\n", uid);
  snprintf(nested_gid_map, sizeof nested_gid_map, "0 %u 1\n", gid);
  if (ranges ? unshare_mapped(ranges, &result) : unshare(CLONE_NEWUSER) && fail("make a user namespace", "")) return -1;
  if (result == HALF_MAPPED) return fail_with(EPERM, "map ids with", ranges[UID_PROGRAM]);
  /* The ids of an unmapped process read as 65534: hence those from before. */
  if (result == NOT_MAPPED) return map_own_id(uid, gid);
  several_groups = true;
  snprintf(nested_uid_map, sizeof nested_uid_map, "0 %u 1\n1 %s %s\n", uid, ranges[UID_FIRST], ranges[UID_COUNT]);
  snprintf(nested_gid_map, sizeof nested_gid_map, "0 %u 1\n1 %s %s\n", gid, ranges[GID_FIRST], ranges[GID_COUNT]);
  return 0;
}

/* More than one id can only be mapped from the namespace above, and in one write(2). */
int map_nested(pid_t first_process) {
  char setgroups[32], uid_map[32], gid_map[32];
  snprintf(setgroups, sizeof setgroups, "%d/setgroups", first_process);
  snprintf(uid_map, sizeof uid_map, "%d/uid_map", first_process);
  snprintf(gid_map, sizeof gid_map, "%d/gid_map", first_process);
  return (!several_groups && write_file(lab_proc, setgroups, "deny")) ||
                 write_file(lab_proc, uid_map, nested_uid_map) || write_file(lab_proc, gid_map, nested_gid_map)
             ? -1
             : 0;
}
