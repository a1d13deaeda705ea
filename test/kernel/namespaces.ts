/** Throw-away network namespaces for tests, as root and as an ordinary user alike. */
import { spawn } from "node:child_process";
import { closeSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import {
  type ClientOptions,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NETLINK_SOCK_DIAG,
  NetlinkClient,
  NetlinkSocket,
} from "../../src/kernel/index.js";
import { MessageBlock } from "../../src/kernel/message-block.js";
import * as sys from "../../src/kernel/syscalls.js";
import type { HostAnswer, HostRequest } from "./namespace-host.js";
import { toolPath } from "../tool-path.js";

const { constants } = sys;

/** Makes namespaces until disposed of: then all are gone, with everything in them. */
export class NamespaceHost implements Disposable {
  readonly rootless = process.getuid?.() !== 0;
  readonly #line: number;
  readonly #block = new MessageBlock(256 * 1024);
  readonly #opened: number[] = [];

  constructor() {
    const [ours, theirs] = sys.socketpair(constants.AF_UNIX, constants.SOCK_SEQPACKET);
    this.#line = ours;
    const script = fileURLToPath(new URL("namespace-host.js", import.meta.url));
    const argv = this.rootless ? ["unshare", "-Urn", process.execPath, script] : [process.execPath, script];
    // It ends when its line does, with this process at the latest.
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ["ignore", "inherit", "inherit", theirs],
      env: { ...process.env, PATH: toolPath },
    });
    child.unref();
    sys.close(theirs);
  }

  ask(request: HostRequest): { answer: Extract<HostAnswer, { ok: true }>; descriptor: number | undefined } {
    this.#block.send(this.#line, new TextEncoder().encode(JSON.stringify(request)));
    const message = this.#block.receive(this.#line);
    if (message === undefined || message.bytes.length === 0) throw new Error("the namespace host has ended");
    const answer = JSON.parse(new TextDecoder().decode(message.bytes)) as HostAnswer;
    if (!answer.ok) throw new Error(answer.message);
    return { answer, descriptor: message.descriptors[0] };
  }

  create(): TestNamespace {
    const { answer, descriptor } = this.ask({ do: "namespace" });
    this.#opened.push(descriptor!);
    return new TestNamespace(this, answer.namespace!, descriptor!);
  }

  [Symbol.dispose](): void {
    sys.close(this.#line);
    for (const fd of this.#opened.splice(0)) sys.closeQuietly(fd);
    this.#block[Symbol.dispose]();
  }
}

export class TestNamespace {
  constructor(
    private readonly host: NamespaceHost,
    readonly number: number,
    /** For IFLA_NET_NS_FD. */
    readonly fd: number,
  ) {}

  socket(family: number, type: number, protocol: number): number {
    return this.host.ask({ do: "socket", namespace: this.number, family, type, protocol }).descriptor!;
  }

  netlink(protocol: number): number {
    return this.socket(constants.AF_NETLINK, constants.SOCK_RAW | constants.SOCK_NONBLOCK, protocol);
  }

  route(options: ClientOptions = {}): NetlinkClient {
    return NetlinkClient.adopt(this.netlink(NETLINK_ROUTE), NETLINK_ROUTE, options);
  }

  netfilter(options: ClientOptions = {}): NetlinkClient {
    return NetlinkClient.adopt(this.netlink(NETLINK_NETFILTER), NETLINK_NETFILTER, options);
  }

  diagnosis(): NetlinkClient {
    return NetlinkClient.adopt(this.netlink(NETLINK_SOCK_DIAG), NETLINK_SOCK_DIAG);
  }

  events(protocol: number, receiveBuffer?: number): NetlinkSocket {
    return new NetlinkSocket(this.netlink(protocol), protocol, receiveBuffer === undefined ? {} : { receiveBuffer });
  }

  /** Runs a command in the namespace. Throws where it fails. @returns its output */
  run(command: string, input = ""): string {
    return this.execute(["sh", "-c", command], input);
  }

  execute(argv: readonly string[], input = ""): string {
    const { answer, descriptor } = this.host.ask({ do: "run", namespace: this.number, argv, input });
    const output = readFileSync(`/proc/self/fd/${descriptor!}`, "utf8");
    closeSync(descriptor!);
    if (answer.status !== 0) throw new Error(`${argv.join(" ")}: ${answer.errors ?? ""} (status ${answer.status!})`);
    return output;
  }

  /** Output of `ip -j`, `tc -j`, `nft -j`. */
  json(command: string): unknown {
    const output = this.run(command);
    return output.trim() === "" ? [] : JSON.parse(output);
  }

  drop(): void {
    this.host.ask({ do: "drop", namespace: this.number });
    sys.closeQuietly(this.fd);
  }
}

/** Settles with the first value that the condition gives; rejects after the limit, which only a broken test meets. */
export async function until<T>(condition: () => T | undefined, what: string, limit = 10_000): Promise<T> {
  const end = Date.now() + limit;
  for (;;) {
    const value = condition();
    if (value !== undefined) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Ends what listens when the test does, passed or failed. */
export function disposeAfter(t: ExecutionContext, resource: Disposable): void {
  t.teardown(() => resource[Symbol.dispose]());
}
