/* Reads cases from its input (u32 length, bytes), gives each to the parser of programs and to a reader that takes every
 * kind of field in turn, and prints how many there were, how many programs were accepted, and how many of those ran to an
 * end. With an argument, a folder, accepted programs are also run: in namespaces of their own, whose root is a tmpfs mounted
 * there. Built with the sanitizers by parse.test.ts. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../helper/init.h"
#include "../../helper/program.h"

static void read_fields(const uint8_t *bytes, size_t length) {
  struct reader r = {bytes, bytes + length, false};
  uint32_t count;
  for (unsigned turn = 0; !r.bad && r.at < r.end; turn++) {
    switch (turn % 6) {
      case 0: take_u8(&r); break;
      case 1: take_u32(&r); break;
      case 2: take_u64(&r); break;
      case 3: take_bytes(&r, &count); break;
      case 4: take_string(&r); break;
      case 5: free(take_strings(&r, &count)); break;
    }
  }
}

static void fail_here(const char *what) {
  perror(what);
  exit(3);
}

static void put_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fail_here(path);
  close(fd);
}

/* A world in which nothing matters: the machine's tree is gone, root is an ordinary user outside. */
static void enter_sandbox(const char *folder) {
  char map[64];
  if (!getuid() && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))) fail_here("setresuid");
  prctl(PR_SET_DUMPABLE, 1); /* or /proc/self is root's */
  unsigned uid = getuid(), gid = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID)) fail_here("unshare");
  put_text("/proc/self/setgroups", "deny");
  snprintf(map, sizeof map, "0 %u 1", uid);
  put_text("/proc/self/uid_map", map);
  snprintf(map, sizeof map, "0 %u 1", gid);
  put_text("/proc/self/gid_map", map);
  pid_t pid = fork(); /* into the PID namespace */
  if (pid < 0) fail_here("fork");
  if (pid > 0) {
    int status;
    waitpid(pid, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 4);
  }
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("tmpfs", folder, "tmpfs", 0, "size=64m") || chdir(folder))
    fail_here(folder);
  mkdir("proc", 0755), mkdir("dev", 0755), mkdir("a", 0755), mkdir("a/b", 0755), mkdir("etc", 0755), mkdir("sys", 0755);
  if (symlink("/etc", "link") || symlink("loop", "loop") || mkfifo("pipe", 0600)) fail_here("symlink");
  close(open("dev/null", O_WRONLY | O_CREAT, 0600));
  if (mount("/dev/null", "dev/null", NULL, MS_BIND, NULL) || mount("proc", "proc", "proc", 0, NULL)) fail_here("mount");
  if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/")) fail_here("pivot_root");
}

/* In a child and a mount namespace of its own: what it does is gone with it. */
static bool runs(const struct program *program) {
  int status;
  pid_t pid = fork();
  if (pid < 0) fail_here("fork");
  if (pid == 0) {
    alarm(20);
    if (unshare(CLONE_NEWNS)) _exit(5);
    run_operations(program);
    _exit(0);
  }
  if (waitpid(pid, &status, 0) != pid) fail_here("waitpid");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  fprintf(stderr, "a program ended its interpreter: wait status %x\n", (unsigned)status);
  exit(6);
}

int main(int argc, char **argv) {
  unsigned accepted = 0, cases = 0, ran = 0;
  uint32_t length;
  if (argc > 1) enter_sandbox(argv[1]);
  while (fread(&length, sizeof length, 1, stdin) == 1) {
    /* Exactly as long as the case: the sanitizer sees the first byte that is read behind it. */
    uint8_t *bytes = malloc(length);
    if (length && fread(bytes, length, 1, stdin) != 1) return 2;
    struct program program = {0};
    if (!parse_program(bytes, length, &program)) {
      accepted++;
      if (argc > 1) ran += runs(&program);
      free_program(&program);
    }
    read_fields(bytes, length);
    free(bytes);
    cases++;
  }
  printf("%u %u %u\n", cases, accepted, ran);
  return 0;
}
