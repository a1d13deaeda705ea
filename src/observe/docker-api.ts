/**
 * Names of containers, from the API of the engine that runs them (Docker's, which Podman speaks too): one GET over its
 * unix socket. Nothing is changed by it, and nothing depends on it: without an answer, containers go by their short ids.
 */
import http from "node:http";
import type { ContainerSnapshot, PublishedPort } from "../model/snapshot.js";

/** What an engine tells of a container, beside which its processes are. */
export interface NamedContainer extends Pick<ContainerSnapshot, "image" | "networks" | "ports" | "compose"> {
  readonly id: string;
  readonly name: string;
  /** Id of the container whose network namespace it shares. */
  readonly sharesNetworkOf?: string;
}

/**
 * Where engines listen (dockerd(8), podman-system-service(1)): DOCKER_HOST and CONTAINER_HOST first, of which only unix
 * sockets count, then those of the machine, then the user's own.
 */
export function engineSockets(environment: Readonly<Record<string, string | undefined>>): string[] {
  const given = [environment.DOCKER_HOST, environment.CONTAINER_HOST].flatMap(
    (host) => /^unix:\/\/(\/.*)$/.exec(host ?? "")?.[1] ?? [],
  );
  const runtime = environment.XDG_RUNTIME_DIR;
  const own = runtime?.startsWith("/") === true ? [`${runtime}/docker.sock`, `${runtime}/podman/podman.sock`] : [];
  return [...new Set([...given, "/run/docker.sock", "/run/podman/podman.sock", ...own])];
}

export type Asked =
  | { readonly containers: readonly NamedContainer[] }
  /** The socket is not there, or nobody listens. */
  | { readonly absent: true }
  | { readonly failed: string };

/** The most that is read of an answer: about a kilobyte for each container. */
const mostBytes = 16 << 20;

/** @param timeout milliseconds, for the whole exchange */
export function askEngine(socketPath: string, timeout = 1000): Promise<Asked> {
  return new Promise((resolve) => {
    const request = http.get(
      { socketPath, path: "/containers/json", headers: { host: "engine" }, signal: AbortSignal.timeout(timeout) },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > mostBytes) request.destroy(new Error("the answer is too long"));
        });
        response.on("error", (error) => resolve({ failed: error.message }));
        response.on("end", () => {
          if (response.statusCode !== 200) resolve({ failed: `HTTP status ${response.statusCode ?? "none"}` });
          else resolve(readAnswer(text));
        });
      },
    );
    request.on("error", (error: NodeJS.ErrnoException) => {
      const absent = error.code === "ENOENT" || error.code === "ECONNREFUSED" || error.code === "ENOTSOCK";
      resolve(absent ? { absent: true } : { failed: error.message });
    });
  });
}

function readAnswer(text: string): Asked {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return { failed: "the answer is no JSON" };
  }
  if (!Array.isArray(answer)) return { failed: "the answer is no list" };
  return { containers: answer.flatMap(readContainer) };
}

/** An entry of `GET /containers/json`: `Id`, `Names`, `HostConfig.NetworkMode`, `Image`, `Ports`, `Labels`, `NetworkSettings`. */
function readContainer(entry: unknown): NamedContainer[] {
  const fields = fieldsOf(entry);
  const { Id: id, Names: names, Image: image } = fields;
  const name: unknown = Array.isArray(names) ? names.find(isOwnName) : undefined;
  if (typeof id !== "string" || typeof name !== "string") return [];
  const { NetworkMode: mode } = fieldsOf(fields.HostConfig);
  const shared = typeof mode === "string" ? /^container:([0-9a-f]+)$/.exec(mode)?.[1] : undefined;
  const networks = Object.keys(fieldsOf(fieldsOf(fields.NetworkSettings).Networks)).sort();
  const ports = Array.isArray(fields.Ports) ? fields.Ports.flatMap(readPort) : [];
  const { "com.docker.compose.project": project, "com.docker.compose.service": service } = fieldsOf(fields.Labels);
  return [
    {
      id,
      name: name.replace(/^\//, ""),
      ...(shared === undefined ? {} : { sharesNetworkOf: shared }),
      ...(typeof image === "string" ? { image } : {}),
      ...(networks.length === 0 ? {} : { networks }),
      ...(ports.length === 0 ? {} : { ports }),
      ...(typeof project === "string" && typeof service === "string" ? { compose: { project, service } } : {}),
    },
  ];
}

/** `{ "IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp" }`; without a public one it is only exposed. */
function readPort(entry: unknown): PublishedPort[] {
  const { IP: address, PrivatePort: to, PublicPort: port, Type: protocol } = fieldsOf(entry);
  if (typeof to !== "number" || typeof port !== "number" || port === 0) return [];
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp") return [];
  return [{ protocol, address: typeof address === "string" && address !== "" ? address : "0.0.0.0", port, to }];
}

/** `/web`; names with more slashes are those that links of old give it in other containers. */
function isOwnName(name: unknown): boolean {
  return typeof name === "string" && !name.slice(1).includes("/");
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
