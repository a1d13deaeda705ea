/** Names that no engine tells: from what watches over a container. And where a process belongs. */
import test from "ava";
import { cgroupPath } from "../../src/observe/processes.js";
import { annotatedName, nameByRuntime } from "../../src/observe/runtime-names.js";

const id = "51ab07b4c70d7220bceae63e9301e2b5873cac6182c97ba086119b85859e5008";
const files = (entries: Readonly<Record<string, string>>) => (file: string) => entries[file];
const stat = (pid: number, parent: number, name = "(a) b"): string => `${pid} (${name}) S ${parent} 1 1 0`;

test("conmon was started with the name of its container (Podman, CRI-O)", (t) => {
  const conmon = ["/usr/bin/conmon", "--api-version", "1", "-c", id, "-u", id, "-n", "web", "-l", "k8s-file:/x"].join(
    "\0",
  );
  const read = files({ "/proc/20/stat": stat(20, 10), "/proc/10/cmdline": conmon, "/proc/10/stat": stat(10, 1) });
  t.deepEqual(nameByRuntime({ runtime: "podman", id, pid: 20 }, read), { id, name: "web" });
  t.is(nameByRuntime({ runtime: "podman", id: id.replace("5", "6"), pid: 20 }, read), undefined, "another's conmon");
});

test("the bundle of containerd's shim has what nerdctl or Kubernetes called it", (t) => {
  const shim = ["/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", "f00", "-address", "/run/x"].join(
    "\0",
  );
  const config = JSON.stringify({
    annotations: { "io.kubernetes.cri.sandbox-name": "shop", "io.kubernetes.cri.container-name": "front" },
  });
  const read = files({
    "/proc/30/stat": stat(30, 25),
    "/proc/25/stat": stat(25, 20),
    "/proc/25/cmdline": "sh\0-c\0x",
    "/proc/20/cmdline": shim,
    [`/run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}/config.json`]: config,
  });
  t.deepEqual(nameByRuntime({ runtime: "containerd", id, pid: 30 }, read), { id, name: "shop.front" });
  t.is(annotatedName(JSON.stringify({ annotations: { "nerdctl/name": "web" } })), "web");
  t.is(annotatedName("{"), undefined, "half written");
  t.is(annotatedName("{}"), undefined);
});

test("a process without a watcher, or one that has ended, has no name", (t) => {
  t.is(nameByRuntime({ runtime: "docker", id, pid: 5 }, files({})), undefined);
  const loop = files({ "/proc/5/stat": stat(5, 6), "/proc/6/stat": stat(6, 5) });
  t.is(nameByRuntime({ runtime: "docker", id, pid: 5 }, loop), undefined, "no endless walk");
});

test("the cgroup is that of version 2, else the first that is not a root", (t) => {
  t.is(cgroupPath("12:pids:/docker/x\n1:name=systemd:/docker/x\n0::/\n"), "/docker/x");
  t.is(cgroupPath("3:cpu:/a\n0::/system.slice/ssh.service\n"), "/system.slice/ssh.service");
  t.is(cgroupPath("0::/\n"), "/");
});
