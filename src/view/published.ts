/** Ports that an engine publishes for the containers of a node. */
import type { NodeSnapshot } from "../model/snapshot.js";

/** `8080 -> 80/tcp`, `127.0.0.1:8081 -> 81/tcp`: one for a port that is published for both families. */
export function publishedText({ containers = [] }: NodeSnapshot): string[] {
  const texts = containers.flatMap(({ ports = [] }) =>
    ports.map(({ protocol, address, port, to }) => {
      const any = address === "0.0.0.0" || address === "::";
      const host = address.includes(":") ? `[${address}]` : address;
      return `${any ? "" : `${host}:`}${port} -> ${to}/${protocol}`;
    }),
  );
  return [...new Set(texts)];
}
