/** What `run` is asked for: yapc's variables, flags over them, and what is no setting. */
import test from "ava";
import { runSettings, type RunFlags } from "../../src/session/run-settings.js";

test("yapc's variables", (t) => {
  const { capabilities, ...defaults } = runSettings({});
  t.deepEqual(defaults, {
    root: "/",
    network: { kind: "usual" },
    user: "0:0",
    workingDirectory: "/",
    binds: [],
    readOnly: false,
    seccomp: true,
    debug: false,
  });
  t.is(capabilities.length, 13);
  t.false(capabilities.includes("net_raw"));
  t.like(
    runSettings({
      YAPC_CPU_QUOTA: "50000",
      YAPC_MEMORY_LIMIT: "64M",
      YAPC_PIDS_MAX: "9",
      YAPC_CAPS: "CAP_NET_RAW,net_admin",
      YAPC_ROOT: "debian",
      YAPC_NET: "no",
      YAPC_NAME: "box",
      YAPC_UID: "1000",
      YAPC_DEBUG: "1",
    }),
    {
      root: "debian",
      cpu: 0.5,
      memory: 64 * 2 ** 20,
      pids: 9,
      capabilities: ["net_admin", "net_raw"],
      network: { kind: "new" },
      name: "box",
      user: "1000:0",
      debug: true,
    },
  );
});

test("flags win over variables, and change the capabilities that those leave", (t) => {
  const variables = { YAPC_NET: "1", YAPC_CAPS: "chown,net_raw", YAPC_MEMORY_LIMIT: "1G", YAPC_ROOT: "debian" };
  t.like(
    runSettings(variables, {
      net: "none",
      memory: "64M",
      root: "/srv/root",
      "cap-add": ["net_admin", "CAP_SYS_TIME,kill"],
      "cap-drop": ["net_raw"],
      bind: ["/srv:/data:ro", "here:/there"],
      cpuset: "0-1,3",
      io: "10M",
      seccomp: "profile.json",
    }),
    {
      network: { kind: "none" },
      memory: 64 * 2 ** 20,
      root: "/srv/root",
      capabilities: ["chown", "kill", "net_admin", "sys_time"],
      binds: [
        { source: "/srv", target: "/data", readOnly: true },
        { source: `${process.cwd()}/here`, target: "/there", readOnly: false },
      ],
      cpuset: "0-1,3",
      io: 10 * 2 ** 20,
      seccomp: `${process.cwd()}/profile.json`,
    },
  );
  t.deepEqual(runSettings({}, { "cap-drop": ["all"], "cap-add": ["net_raw"] }).capabilities, ["net_raw"]);
  t.deepEqual(runSettings({}, { net: "lab/web" }).network, { kind: "node", lab: "lab", node: "web" });
  t.deepEqual(runSettings({}, { net: "host" }).network, { kind: "machine" });
  t.false(runSettings({}, { seccomp: "none" }).seccomp);
});

for (const [variable, value, message] of [
  ["YAPC_PIDS_MAX", "0", /YAPC_PIDS_MAX=0 is not a number of processes/],
  ["YAPC_CPU_QUOTA", "half", /YAPC_CPU_QUOTA=half is not microseconds/],
  ["YAPC_MEMORY_LIMIT", "much", /YAPC_MEMORY_LIMIT=much is no size/],
] as const) {
  test(`${variable}=${value} is an error`, (t) => {
    t.throws(() => runSettings({ [variable]: value }), { message });
  });
}

const mistakes: readonly [RunFlags, RegExp][] = [
  [{ cpu: "x" }, /--cpu x is no number/],
  [{ cpu: "0" }, /--cpu 0 is no number/],
  [{ cpuset: "a" }, /--cpuset a is no list/],
  [{ io: "0" }, /--io 0 is no size/],
  [{ net: "web" }, /--net web is no network/],
  [{ net: "a/b/c" }, /is no network/],
  [{ bind: ["/srv"] }, /not of the form/],
  [{ bind: ["/srv:/x:rw:ro"] }, /not of the form/],
  [{ bind: ["/srv:/x:maybe"] }, /not of the form/],
  [{ bind: ["/srv:x"] }, /a path inside/],
  [{ bind: ["/srv:/a/../b"] }, /a path inside/],
  [{ workdir: "x" }, /--workdir is a path inside/],
  [{ "cap-add": ["fly"] }, /--cap-add fly: there is no such capability/],
  [{ "cap-drop": ["net_row"] }, /--cap-drop net_row/],
];
for (const [flags, message] of mistakes) {
  test(`${JSON.stringify(flags)} is an error`, (t) => {
    t.throws(() => runSettings({}, flags), { message });
  });
}
