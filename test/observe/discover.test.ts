/** How namespaces of the machine get their names. */
import { mkdtempSync, readlinkSync, rmSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { containerIdOf, type ContainerId } from "../../src/observe/container-id.js";
import { nameNodes } from "../../src/observe/discover.js";
import { askEngine, engineSockets } from "../../src/observe/docker-api.js";
import { findNamespaces } from "../../src/observe/namespaces.js";
import { program } from "../e2e/cli.js";
import { has, skip } from "../tools.js";

const id = "51ab07b4c70d7220bceae63e9301e2b5873cac6182c97ba086119b85859e5008";
const other = "f2151d4b7ee4d9ecb58b7aa74bb511e2755668b51bb63208a7bea9460fc33f15";

const cgroups: readonly (readonly [where: string, text: string, runtime: ContainerId["runtime"] | undefined])[] = [
  ["Docker, cgroup v1", `12:pids:/docker/${id}\n1:name=systemd:/docker/${id}\n0::/\n`, "docker"],
  ["Docker, cgroup v2, systemd", `0::/system.slice/docker-${id}.scope\n`, "docker"],
  ["Podman", `0::/machine.slice/libpod-${id}.scope/container\n`, "podman"],
  ["Podman without systemd", `0::/libpod_parent/libpod-${id}\n`, "podman"],
  ["Podman, a user's", `0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope\n`, "podman"],
  ["containerd under Kubernetes", `0::/kubepods.slice/kubepods-pod12.slice/cri-containerd-${id}.scope\n`, "containerd"],
  ["Kubernetes without systemd", `4:cpu:/kubepods/besteffort/pod0a1b/${id}\n`, "containerd"],
  ["CRI-O", `0::/kubepods.slice/crio-${id}.scope\n`, "cri-o"],
  ["nerdctl", `0::/default/${id}\n`, "containerd"],
  ["a container in a container", `0::/docker/${other}/docker/${id}\n`, "docker"],
  ["somebody else's", `0::/pods/${id}\n`, "container"],
  ["what watches over a container of Podman", `0::/machine.slice/libpod-conmon-${id}.scope\n`, undefined],
  ["the machine", "0::/init.scope\n", undefined],
  ["a service", "0::/system.slice/ssh.service\n", undefined],
  ["nothing", "", undefined],
];

test("the cgroup of a process tells its container", (t) => {
  for (const [where, text, runtime] of cgroups)
    t.deepEqual(containerIdOf(text), runtime === undefined ? undefined : { runtime, id }, where);
});

const found = (inode: string, pids: readonly number[], names: readonly string[] = []) => {
  return { inode, descriptor: Number(inode), pids, names };
};

test("a namespace goes by its container, by ip netns, by its short id, by its first process, in this order", (t) => {
  const nodes = nameNodes(
    {
      own: "1",
      all: [
        found("2", [20], ["cni-1"]),
        found("3", [30, 31], ["blue"]),
        found("1", [1]),
        found("4", [40]),
        found("5", [50]),
        found("6", [], ["-odd name/"]),
      ],
    },
    new Map([
      ["2", [{ runtime: "docker", id } as const]],
      ["4", [{ runtime: "containerd", id: other } as const]],
    ]),
    [{ id, name: "web" }],
  );
  t.deepEqual(
    nodes.map(({ name, role }) => [name, role]),
    [
      ["host", "machine"],
      ["web", "container"],
      ["blue", "namespace"],
      [other.slice(0, 12), "container"],
      ["pid-50", "namespace"],
      ["odd_name_", "namespace"],
    ],
  );
  t.deepEqual(nodes[1]?.aliases, ["cni-1", id, "pid-20"]);
});

test("containers that share a namespace go by the one that owns it; equal names are told apart", (t) => {
  const nodes = nameNodes(
    { own: "1", all: [found("1", [1]), found("2", [20, 21]), found("3", [30], ["web"]), found("4", [40], ["host"])] },
    new Map([
      [
        "2",
        [
          { runtime: "docker", id: other },
          { runtime: "docker", id },
        ] as const,
      ],
    ]),
    [
      { id: other, name: "sidecar", sharesNetworkOf: id },
      { id, name: "web" },
    ],
  );
  t.deepEqual(
    nodes.map(({ name }) => name),
    ["host", "web", "web-2", "host-2"],
  );
  t.true(nodes[1]?.aliases.includes("sidecar"));
});

/** An engine that answers with `body`. @returns its socket */
async function engine(t: ExecutionContext, status: number, body: string | undefined): Promise<string> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "yapc-engine-"));
  const socket = path.join(folder, "engine.sock");
  const server = http.createServer((request, response) => {
    t.is(`${request.method ?? ""} ${request.url ?? ""}`, "GET /containers/json");
    if (body === undefined) return; // it never answers
    response.statusCode = status;
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return socket;
}

test("the engine tells the names of containers", async (t) => {
  const answer = [
    { Id: id, Names: ["/app/db", "/web"], HostConfig: { NetworkMode: "bridge" } },
    { Id: other, Names: ["/sidecar"], HostConfig: { NetworkMode: `container:${id}` } },
    { Id: 7, Names: "no list" },
    null,
  ];
  t.deepEqual(await askEngine(await engine(t, 200, JSON.stringify(answer))), {
    containers: [
      { id, name: "web" },
      { id: other, name: "sidecar", sharesNetworkOf: id },
    ],
  });
});

test("an engine that is not there is absent; one that fails says how", async (t) => {
  t.deepEqual(await askEngine("/nonexistent/engine.sock"), { absent: true });
  t.deepEqual(await askEngine(await engine(t, 500, "{}")), { failed: "HTTP status 500" });
  t.deepEqual(await askEngine(await engine(t, 200, "<html>")), { failed: "the answer is no JSON" });
  t.deepEqual(await askEngine(await engine(t, 200, "{}")), { failed: "the answer is no list" });
  const silent = await askEngine(await engine(t, 200, undefined), 50);
  t.true("failed" in silent);
});

test("DOCKER_HOST is asked first where it is a socket of this machine", (t) => {
  const usual = ["/run/docker.sock", "/run/podman/podman.sock"];
  t.deepEqual(engineSockets({}), usual);
  t.deepEqual(engineSockets({ DOCKER_HOST: "unix:///run/d.sock" }), ["/run/d.sock", ...usual]);
  t.deepEqual(engineSockets({ DOCKER_HOST: "unix:///run/docker.sock" }), usual);
  t.deepEqual(engineSockets({ DOCKER_HOST: "tcp://10.0.0.1:2375" }), usual);
});

test("our own namespace is among those that are found, with this process in it", (t) => {
  using namespaces = findNamespaces();
  t.is(`net:[${namespaces.own}]`, readlinkSync("/proc/self/ns/net"));
  const own = namespaces.all.find(({ inode }) => inode === namespaces.own);
  t.true(own?.pids.includes(process.pid));
});

test("a process that may not be looked into hides nothing where its namespace is known", async (t) => {
  if (!has(t, "unshare", "setpriv")) return;
  const alone = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc"] as const;
  if ((await program(...alone, "true")).code !== 0) {
    skip(t, "no user namespaces here");
    return;
  }
  const found = path.join(import.meta.dirname, "../../src/observe/namespaces.js");
  const look = `
    import { readlinkSync } from "node:fs";
    import { findNamespaces } from ${JSON.stringify(found)};
    let code;
    try { readlinkSync("/proc/1/ns/net"); } catch (error) { code = error.code; }
    console.log(JSON.stringify([code, findNamespaces().all.length, ...findNamespaces().hidden]));`;
  // PID 1 has one capability more than the reader, to whom its /proc/1/ns is closed.
  const less = '"$0" --input-type=module -e "$1"';
  const reader = `setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace ${less}`;
  const seen = async (script: string): Promise<unknown> => {
    const { code, stdout, stderr } = await program(...alone, "sh", "-c", script, process.execPath, look);
    t.is(code, 0, stderr);
    return JSON.parse(stdout);
  };
  t.deepEqual(await seen(`${reader}; exit $?`), ["EACCES", 1]);
  t.deepEqual(await seen(`unshare --net ${reader}; exit $?`), ["EACCES", 1, [0, 1]], "PID 1 is in another one");
});
