/** Labs for tests: started with the rights that the test has, ended and removed with it. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { encodeProgram } from "../../src/container/encode.js";
import { containerFiles, lowerContainer } from "../../src/container/lower.js";
import { findUser } from "../../src/container/user.js";
import type { ContainerOutput, InitLine, SpawnRequest } from "../../src/init/api.js";
import type { Limits } from "../../src/model/container.js";
import { findHierarchies, makeCgroup, removeLabCgroups } from "../../src/init/cgroup.js";
import { connectInit, startInit } from "../../src/init/client.js";
import { prepareSite, readInside } from "../../src/init/container-site.js";
import { removeTree } from "../../src/init/remove-tree.js";
import { readToEnd } from "../../src/init/read-to-end.js";
import { close, pipe2 } from "../../src/kernel/syscalls.js";

export const environment: SpawnRequest["environment"] = [
  ["PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
];

/** Docker's default. */
export const defaultCapabilities = [
  "audit_write",
  "chown",
  "dac_override",
  "fowner",
  "fsetid",
  "kill",
  "mknod",
  "net_bind_service",
  "net_raw",
  "setfcap",
  "setgid",
  "setpcap",
  "setuid",
  "sys_chroot",
];

export interface TestLab {
  readonly init: InitLine;
  readonly folder: string;
}

/** @param prefix of the state folder's name */
export async function lab(t: ExecutionContext, prefix = "yapc-init-test-"): Promise<TestLab> {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  t.teardown(() => removeTree(folder));
  const init = await startInit({ stateFolder: folder });
  t.teardown(async () => {
    const line = await connectInit({ stateFolder: folder }).catch(() => undefined);
    await line?.shutdown();
    init[Symbol.dispose]();
  });
  return { init, folder };
}

/** Runs a shell line in a node; its output, both streams, and its exit. */
export async function shell(init: InitLine, node: string, line: string, more: Partial<SpawnRequest> = {}) {
  const [output, theirs] = pipe2();
  const nothing = openSync("/dev/null", "r");
  try {
    const process = await init
      .spawn({
        node,
        place: "namespace",
        argv: ["sh", "-c", line],
        environment,
        stdio: [nothing, theirs, theirs],
        tied: true,
        ...more,
      })
      .finally(() => close(theirs));
    return { text: await readToEnd(output), ...(await process.exit) };
  } finally {
    closeSync(nothing);
  }
}

/** As `shell`, in the node's container. */
export const inside = (init: InitLine, node: string, line: string, more: Partial<SpawnRequest> = {}) =>
  shell(init, node, line, { place: "container", ...more });

export interface TestContainer {
  readonly command: readonly string[];
  readonly root?: string;
  readonly capabilities?: readonly string[];
  readonly files?: readonly (readonly [string, string])[];
  readonly user?: string;
  readonly workingDirectory?: string;
  readonly environment?: SpawnRequest["environment"];
  readonly limits?: Limits;
  readonly seccomp?: boolean;
  readonly output?: ContainerOutput;
}

/** Starts a node's container; the node is there. */
export async function startBox(t: ExecutionContext, { init, folder }: TestLab, node: string, box: TestContainer) {
  const spec = {
    command: box.command,
    environment: box.environment ?? environment,
    workingDirectory: box.workingDirectory ?? "/",
    hostname: node,
    capabilities: box.capabilities ?? defaultCapabilities,
    seccomp: box.seccomp ?? true,
  };
  const files = containerFiles({ ...spec, files: box.files ?? [] }, [["127.0.0.1", ["localhost", node]]], "");
  const hierarchies = box.limits === undefined ? [] : findHierarchies();
  const labName = folder.slice(folder.lastIndexOf("-") + 1);
  using cgroup = makeCgroup(hierarchies, labName, node, box.limits ?? {});
  t.teardown(() => removeLabCgroups(hierarchies, labName));
  const site = prepareSite({
    stateFolder: folder,
    node,
    root: box.root ?? "/",
    files,
    rootless: init.rootless,
    ids: init.ids,
    cgroup,
  });
  const passwd = readInside(site, "/etc/passwd");
  const user = findUser(box.user ?? "root", passwd, readInside(site, "/etc/group"));
  const program = encodeProgram(lowerContainer(spec, { ...site, user }));
  const descriptors = [...cgroup.memberships, ...(cgroup.oomCounter === undefined ? [] : [cgroup.oomCounter])];
  return {
    cgroupFolders: cgroup.folders,
    unenforced: cgroup.unenforced,
    process: await init.startContainer(
      node,
      program,
      descriptors,
      box.output ?? { logPath: join(folder, `${node}.log`) },
    ),
  };
}

/** Runs a shell line as the command of a node's container; what it wrote, by its log. */
export async function runBox(t: ExecutionContext, place: TestLab, line: string, box: Partial<TestContainer> = {}) {
  const node = "box";
  if (!(await place.init.nodes()).some(({ name }) => name === node)) {
    await place.init.createNodes([{ name: node, container: true }]);
  }
  rmSync(join(place.folder, `${node}.log`), { force: true });
  const { process } = await startBox(t, place, node, { command: ["sh", "-c", line], ...box });
  const exit = await process.exit;
  const log = readFileSync(join(place.folder, `${node}.log`), "utf8");
  const text = log.replace(/^\S+ (stdout|stderr) /gm, "");
  return { text, log, ...exit };
}

/** Awaits a condition, asked for every 20 ms. */
export async function until(condition: () => boolean | Promise<boolean>, seconds = 30): Promise<boolean> {
  for (let turns = seconds * 50; turns > 0; turns--) {
    if (await condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
