/* The child between fork and exec: what it sheds of init, where its files come from, how init hears of it. */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"

void send_report(int status, struct report report, const int *files, unsigned count) {
  transmit(status, &report, sizeof report, files, count);
}

void report_fault(int status) {
  send_report(status, (struct report){.kind = REPORT_FAULT, .fault = fault}, NULL, 0);
  _exit(125);
}

void give_up(int status, const char *step, const char *path) {
  fail(step, path);
  report_fault(status);
}

void child_defaults(void) {
  sigset_t none;
  sigemptyset(&none);
  for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setrlimit(RLIMIT_NOFILE, &machine_files);
  umask(022);
  prctl(PR_SET_DUMPABLE, 0); /* until exec: what it still holds of init is nobody else's */
  setsid();
}

void set_size(int terminal, uint32_t size) {
  struct winsize w = {.ws_row = size & 0xffff, .ws_col = size >> 16 & 0xffff};
  ioctl(terminal, TIOCSWINSZ, &w); /* before anyone can ask */
}

int take_terminal(int slave) {
  if (ioctl(slave, TIOCSCTTY, 0)) return fail("take the terminal", "");
  for (int i = 0; i < 3; i++)
    if (dup2(slave, i) < 0) return fail("take the terminal", "");
  return 0;
}

/* Node makes its pipes and sockets non-blocking, and the flag is the file's, not the descriptor's: a command that does
 * not expect EAGAIN would lose what it writes. */
static int wait_for_file(int file) {
  int flags = fcntl(file, F_GETFL);
  if (flags < 0) return -1;
  return flags & O_NONBLOCK ? fcntl(file, F_SETFL, flags & ~O_NONBLOCK) : 0;
}

int take_files(const int files[3]) {
  for (int i = 0; i < 3; i++)
    if (dup2(files[i], i) < 0 || wait_for_file(i)) return fail("take the standard files", "");
  return 0;
}
