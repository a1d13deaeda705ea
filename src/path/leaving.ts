/** A packet leaves a node: the rules after routing, the interface, the neighbour that takes it. */
import type { NodeSnapshot } from "../model/snapshot.js";
import { isMulticast } from "../model/address.js";
import type { Connection } from "./connection.js";
import type { Header } from "./header.js";
import { findNeighbour } from "./neighbour.js";
import { nameOf } from "./network.js";
import { dropped } from "./prediction.js";
import { unfollowedEnds } from "./unfollowed.js";
import { ended, type Next, type Way } from "./way.js";

export interface Leaving {
  readonly node: NodeSnapshot;
  /** Interface that it came in by; absent for what the node itself sends. */
  readonly input?: string;
  readonly output: string;
  readonly nexthop: Header["destination"];
  readonly header: Header;
  /** As it came to the node, before NAT. */
  readonly before: Header;
  readonly connection: Connection;
}

export function leave(way: Way, { node, input, output, nexthop, header: routed, before, connection }: Leaving): Next {
  const out = way.network.place(node.name, output);
  if (!out) return ended({ kind: "unknown", node: node.name, reason: `interface ${output} is not in the snapshot` });
  const role = input === undefined ? "sender" : "router";
  const asked = way.ask("postrouting", { node, role, header: routed, connection, input, output, near: nexthop });
  if (asked.end) return ended(asked.end);
  const { header } = asked;
  const behind = asked.connection ?? connection;
  way.passed(node.name, behind, before, header);

  const fail = (code: string, text: string): Next => ended(dropped(node.name, role, header, code, text));
  if (!out.interface.up) return fail("link-down", `${nameOf(out)} is down`);
  const onward = { at: "frame", place: out, direction: "out", header } as const;
  if (out.loopback) return { ...onward, toward: out, connection: behind };
  if (!out.interface.carrier) return fail("no-carrier", `${nameOf(out)} has no carrier`);
  if (isMulticast(nexthop) || way.network.isBroadcast(node.name, nexthop)) return { ...onward, toward: undefined };

  const neighbour = findNeighbour(way.bridging, out, nexthop, header.source);
  switch (neighbour.kind) {
    case "none":
      return fail(neighbour.code, neighbour.text);
    case "outside": {
      way.step(out, "out", header);
      const { texts, all } = unfollowedEnds(way.bridging, out);
      if (all) return ended({ kind: "unknown", node: node.name, reason: texts.join("; "), leaves: true });
      for (const text of texts) way.doubt(node.name, text, false);
      return ended({ kind: "outside", hop: nameOf(out) });
    }
    case "lost":
      way.step(out, "out", header);
      return ended(dropped(node.name, "link", header, "wrong-mac", neighbour.text));
    case "found":
      way.note(node.name, "neighbour", "neighbour", neighbour.text);
      if (neighbour.doubt !== undefined) way.doubt(node.name, neighbour.doubt, true);
      return { ...onward, toward: neighbour.toward };
  }
}
