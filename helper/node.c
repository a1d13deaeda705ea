/* Nodes: a network namespace each, held by descriptor. The kernel frees what is in it when the last reference goes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ids.h"
#include "init.h"

#define NS_GET_NSTYPE_ _IO(0xb7, 0x3) /* linux/nsfs.h */

struct node *nodes;

static struct node *lookup(const char *name) {
  struct node *n = nodes;
  while (n && strcmp(n->name, name)) n = n->next;
  return n;
}

struct node *find_node(const char *name) {
  struct node *n = lookup(name);
  if (!n) fail_with(ENOENT, "find the node", name);
  return n;
}

/* [a-zA-Z0-9_][a-zA-Z0-9_.-]*: names become file names. */
static bool is_name(const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  size_t length = strlen(name);
  return length && length <= 128 && name[0] != '.' && name[0] != '-' && strspn(name, letters) == length;
}

/* A node that has no namespace yet. */
static struct node *keep_node(const char *name) {
  if (!is_name(name)) return fail_with(EINVAL, "check the name of the node", name), NULL;
  if (lookup(name)) return fail_with(EEXIST, "create the node", name), NULL;
  struct node *n = calloc(1, sizeof *n);
  if (!n || !(n->name = strdup(name))) abort();
  n->net = n->user = -1;
  n->next = nodes;
  nodes = n;
  return n;
}

void forget_node(struct node *n) {
  struct node **link = &nodes;
  while (*link != n) link = &(*link)->next;
  *link = n->next;
  if (n->net >= 0) close(n->net);
  if (n->user >= 0) close(n->user);
  free((char *)n->name);
  free(n);
}

/* Below /proc/sys each network namespace has dentries of its own, but under the same names in the same folders: in one
 * procfs a lookup walks those of every namespace that was looked at before (fs/proc/proc_sysctl.c, proc_sys_compare),
 * and a lab of a thousand nodes spends seconds there. So a procfs that nobody sees serves some nodes, and the next ones
 * get a new one. Where that cannot be had the lab's own does, slowly. */
static int sysctls = -1;

static void renew_sysctls(void) {
  enum { VISITS = 48 };
  static unsigned visits;
  if (sysctls >= 0 && ++visits < VISITS) return;
  int context = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC), mounted = -1;
  if (context >= 0 && !syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
    mounted = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
                           MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  if (context >= 0) close(context);
  if (sysctls >= 0 && sysctls != lab_proc && mounted >= 0) close(sysctls);
  if (mounted >= 0) sysctls = mounted;
  else if (sysctls < 0) sysctls = lab_proc;
  visits = 0;
}

/* A connection whose process has gone holds its namespace for minutes; with one retry it is seconds. */
static int soften_orphans(void) { return write_file(sysctls, "sys/net/ipv4/tcp_orphan_retries", "1"); }

/* The caller is in it then. */
static int make_net(const struct node *n) {
  if (unshare(CLONE_NEWNET)) return fail("make a network namespace", n->name);
  int net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (net < 0) return fail("open the network namespace", n->name);
  renew_sysctls();
  if (!soften_orphans()) return net;
  close(net);
  return -1;
}

/* What a child makes it leaves in init's table of descriptors, and here which they are. */
struct share {
  struct fault fault;
  int nets[];
};

static int make_some(struct share *shared, struct node *const *some, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++)
    if ((shared->nets[i] = make_net(some[i])) < 0) return -1;
  return 0;
}

static void make_as_child(struct share *shared, struct node *const *some, uint32_t count) {
  sysctls = -1; /* that one is the parent's */
  if (make_some(shared, some, 0, count)) shared->fault = fault;
  if (sysctls >= 0 && sysctls != lab_proc) close(sysctls);
  _exit(0);
}

/* The kernel takes a third of a millisecond for each: of many, a short-lived child makes the first half meanwhile. */
static int make_nets(struct node *const *some, uint32_t count) {
  enum { MANY = 16 };
  size_t size = sizeof(struct share) + count * sizeof(int);
  struct share *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return fail("make network namespaces", "");
  for (uint32_t i = 0; i < count; i++) shared->nets[i] = -1;
  long child = count < MANY ? -1 : syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
  if (child == 0) make_as_child(shared, some, count / 2);
  int result = make_some(shared, some, child < 0 ? 0 : count / 2, count);
  leave_node();
  if (child > 0) {
    waitpid((pid_t)child, NULL, __WALL);
    if (!result && shared->nets[count / 2 - 1] < 0)
      result = fail_with(shared->fault.error, shared->fault.step, shared->fault.path);
  }
  for (uint32_t i = 0; i < count; i++) some[i]->net = shared->nets[i];
  munmap(shared, size);
  return result;
}

struct nested {
  int net, user;
  struct fault fault;
};

/* Init shares its table of descriptors with this child, which leaves them there. */
static void open_nested(struct nested *shared, int mapped, const char *name) {
  uint64_t count;
  if (read(mapped, &count, sizeof count) != sizeof count) _exit(1);
  if (soften_orphans() ||
      ((shared->user = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)) < 0 &&
       fail("open the user namespace", name)) ||
      ((shared->net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) < 0 &&
       fail("open the network namespace", name)))
    shared->fault = fault;
  _exit(0);
}

/* Without root, a container's network namespace must belong to the user namespace that maps its root, or sysfs, ping,
 * low ports and net sysctls are refused inside. Init could not leave such a user namespace again, so that a short-lived
 * child makes both. */
static int make_nested(struct node *n) {
  struct nested *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int mapped = shared == MAP_FAILED ? -1 : eventfd(0, EFD_CLOEXEC);
  if (mapped < 0) return fail("make a user namespace", n->name);
  shared->net = shared->user = -1;
  renew_sysctls();
  pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNET | CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
  if (pid == 0) open_nested(shared, mapped, n->name);
  int result = pid < 0 ? fail("make a user namespace", n->name) : map_nested(pid);
  if (!result && write(mapped, &(uint64_t){1}, sizeof(uint64_t)) < 0) result = fail("tell the child of", n->name);
  if (result && pid > 0) kill(pid, SIGKILL);
  if (pid > 0) waitpid(pid, NULL, __WALL);
  n->net = shared->net;
  n->user = shared->user;
  if (!result && n->net < 0) result = fail_with(shared->fault.error, shared->fault.step, shared->fault.path);
  munmap(shared, sizeof *shared);
  close(mapped);
  return result;
}

static int learn_inode(struct node *n) {
  struct stat s;
  if (fstat(n->net, &s)) return fail("read the network namespace", n->name);
  n->inode = s.st_ino;
  return 0;
}

int create_nodes(char *const *names, uint32_t count, bool containers) {
  struct node **made = calloc(count + 1, sizeof *made);
  if (!made) abort();
  int result = 0;
  for (uint32_t i = 0; !result && i < count; i++) {
    made[i] = keep_node(names[i]);
    if (!made[i]) result = -1;
    else made[i]->fresh = true, made[i]->container = containers;
  }
  bool nested = containers && rootless;
  if (!result && !nested) result = make_nets(made, count);
  for (uint32_t i = 0; !result && i < count; i++)
    result = (nested && make_nested(made[i])) || learn_inode(made[i]) ? -1 : 0;
  free(made);
  return result;
}

int adopt_node(const char *name, int net) {
  struct node *n = keep_node(name);
  if (!n) return -1;
  n->adopted = true;
  n->net = fcntl(net, F_DUPFD_CLOEXEC, 3);
  int result = ioctl(net, NS_GET_NSTYPE_) == CLONE_NEWNET
                   ? learn_inode(n)
                   : fail_with(EINVAL, "adopt a descriptor that is no network namespace", name);
  if (result) forget_node(n);
  return result;
}

int enter_node(const struct node *n) {
  return setns(n->net, CLONE_NEWNET) ? fail("enter the network namespace", n->name) : 0;
}

int enter_sysctls(const struct node *n) {
  renew_sysctls();
  return enter_node(n);
}

void leave_node(void) {
  /* In a namespace that is not its own init would answer every later request wrongly: better no lab. */
  if (setns(own_net, CLONE_NEWNET)) abort();
}

int node_namespace(const struct node *n) {
  int fd = fcntl(n->net, F_DUPFD_CLOEXEC, 3);
  return fd < 0 ? fail("open the network namespace", n->name) : fd;
}

int node_socket(const struct node *n, const int of[3]) {
  if (enter_node(n)) return -1;
  int fd = socket(of[0], of[1] | SOCK_CLOEXEC, of[2]);
  if (fd < 0) fail("open a socket", n->name);
  leave_node();
  return fd;
}

/* As sysctl(8): dots and slashes change places, so that net.ipv4.conf.eth0/100.rp_filter names eth0.100. */
int open_sysctl(const char *dotted, int flags) {
  char path[256];
  if (strncmp(dotted, "net.", 4) || strlen(dotted) + sizeof "sys/" > sizeof path)
    return fail_with(EINVAL, "accept a sysctl that is not of the network namespace", dotted);
  int length = snprintf(path, sizeof path, "sys/%s", dotted);
  for (char *c = path + 4; c < path + length; c++) *c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
  if (strstr(path, "..")) return fail_with(EINVAL, "accept a sysctl that is not of the network namespace", dotted);
  int fd = open_beneath(sysctls, path, flags);
  return fd < 0 ? fail("open the sysctl", dotted) : fd;
}

/* One dump of the TCP sockets of a family, and a SOCK_DESTROY for each that a process holds. Those without (inode 0)
 * are left to tcp_orphan_retries: kernels before 6.11 would keep an aborted orphan for ever. */
static void destroy_family(int socket, uint8_t family) {
  struct {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
  } ask = {
      .header = {sizeof ask, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
      .request = {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U & ~(1U << TCP_TIME_WAIT)}};
  int killer = (int)syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  static char buffer[64 * 1024];
  bool more = killer >= 0 && send(socket, &ask, sizeof ask, 0) == sizeof ask;
  while (more) {
    ssize_t length = recv(socket, buffer, sizeof buffer, 0);
    if (length <= 0) break;
    for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, (size_t)length); h = NLMSG_NEXT(h, length)) {
      if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY) {
        more = false; /* done, or an error: this family is over */
        break;
      }
      const struct inet_diag_msg *found = NLMSG_DATA(h);
      if (!found->idiag_inode) continue;
      ask.header = (struct nlmsghdr){sizeof ask, SOCK_DESTROY, NLM_F_REQUEST, 2, 0};
      ask.request.id = found->id;
      /* Best effort: without CONFIG_INET_DIAG_DESTROY the kernel needs some seconds longer. */
      (void)!send(killer, &ask, sizeof ask, 0);
    }
  }
  if (killer >= 0) close(killer);
}

/* Whether a TCP socket is there at all: a dump walks the tables of the whole machine, this looks at counters. */
static bool has_tcp(const char *path, const char *name) {
  char text[512];
  int fd = open_beneath(sysctls, path, O_RDONLY);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  text[length > 0 ? length : 0] = 0;
  const char *line = strstr(text, name);
  return !line || strtoul(line + strlen(name), NULL, 10) > 0;
}

void destroy_sockets(const struct node *n) {
  if (n->adopted || enter_sysctls(n)) return;
  for (int i = 0; i < 2; i++) {
    if (!(i ? has_tcp("self/net/sockstat6", "TCP6: inuse ") : has_tcp("self/net/sockstat", "TCP: inuse "))) continue;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) break;
    destroy_family(fd, i ? AF_INET6 : AF_INET);
    close(fd);
  }
  leave_node();
}
