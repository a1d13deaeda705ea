/**
 * A process that makes network namespaces and opens sockets in them for a test, and passes the descriptors: what
 * yapc-init does for the product. As an ordinary user it runs under `unshare -Urn`, so that the test, outside, drives
 * sockets of a user namespace that its user owns.
 *
 * Requests come as JSON in packets on descriptor 3; an answer is JSON, with a descriptor where one was asked for.
 */
import { spawnSync } from "node:child_process";
import { MessageBlock } from "../../src/kernel/message-block.js";
import * as sys from "../../src/kernel/syscalls.js";

export type HostRequest =
  | { readonly do: "namespace" }
  | {
      readonly do: "socket";
      readonly namespace: number;
      readonly family: number;
      readonly type: number;
      readonly protocol: number;
    }
  | { readonly do: "run"; readonly namespace: number; readonly argv: readonly string[]; readonly input: string }
  /** Lets go of a namespace. */
  | { readonly do: "drop"; readonly namespace: number };

export type HostAnswer =
  | { readonly ok: true; readonly namespace?: number; readonly status?: number; readonly errors?: string }
  | { readonly ok: false; readonly message: string };

const LINE = 3;
const { constants } = sys;
const own = sys.open("/proc/thread-self/ns/net", constants.O_RDONLY);
const namespaces: number[] = [];

/** Synchronous, so that nothing else of this process runs inside the namespace. */
function inside<T>(namespace: number, act: () => T): T {
  sys.setns(namespaces[namespace]!, constants.CLONE_NEWNET);
  try {
    return act();
  } finally {
    sys.setns(own, constants.CLONE_NEWNET);
  }
}

function handle(request: HostRequest): { answer: HostAnswer; descriptor?: number } {
  switch (request.do) {
    case "namespace": {
      sys.unshare(constants.CLONE_NEWNET);
      const descriptor = sys.open("/proc/thread-self/ns/net", constants.O_RDONLY);
      sys.setns(own, constants.CLONE_NEWNET);
      namespaces.push(descriptor);
      return { answer: { ok: true, namespace: namespaces.length - 1 }, descriptor };
    }
    case "socket": {
      const { family, type, protocol } = request;
      const descriptor = inside(request.namespace, () => sys.socket(family, type, protocol));
      return { answer: { ok: true }, descriptor };
    }
    case "run": {
      const output = sys.memfdCreate("output");
      const [command = "", ...rest] = request.argv;
      const { status, stderr, error } = inside(request.namespace, () =>
        spawnSync(command, rest, { input: request.input, stdio: ["pipe", output, "pipe"], timeout: 20_000 }),
      );
      const errors = error === undefined ? stderr.toString() : error.message;
      return { answer: { ok: true, status: status ?? -1, errors: errors.slice(0, 8000) }, descriptor: output };
    }
    case "drop":
      sys.close(namespaces[request.namespace]!);
      return { answer: { ok: true } };
  }
}

const block = new MessageBlock(256 * 1024);
for (;;) {
  const message = block.receive(LINE);
  if (message === undefined || message.bytes.length === 0) break;
  const request = JSON.parse(new TextDecoder().decode(message.bytes)) as HostRequest;
  let result: ReturnType<typeof handle>;
  try {
    result = handle(request);
  } catch (error) {
    result = { answer: { ok: false, message: String(error) } };
  }
  const { answer, descriptor } = result;
  block.send(LINE, new TextEncoder().encode(JSON.stringify(answer)), descriptor === undefined ? [] : [descriptor]);
  if (descriptor !== undefined && !namespaces.includes(descriptor)) sys.close(descriptor);
}
