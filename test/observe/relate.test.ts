/** Which interface is whose other end, and what was made on what, across namespaces. */
import test from "ava";
import type { Link } from "../../src/kernel/index.js";
import { type NodeLinks, peerKey, relate } from "../../src/observe/peers.js";

const link = (index: number, name: string, more: Partial<Link> = {}): Link =>
  ({ index, name, kind: "veth", mac: `02:00:00:00:00:0${index}`, ...more }) as Link; // the fields that are looked at

/** @param ids what the node calls the namespaces of others */
function node(
  name: string,
  links: readonly Link[],
  ids: Readonly<Record<string, number>> = {},
  more: Partial<NodeLinks> = {},
): NodeLinks {
  return { node: name, links, namespaceId: (other) => ids[other], ...more };
}

test("ends of pairs find each other by index and namespace id, where all indexes are the same", (t) => {
  const { peers } = relate([
    node("a", [link(2, "eth0", { link: 2, linkNetnsid: 0 })], { b: 0 }),
    node("b", [link(2, "eth0", { link: 2, linkNetnsid: 0 })], { a: 0 }),
    node("c", [link(2, "eth0", { link: 2, linkNetnsid: 0 })], { d: 0 }),
    node("d", [link(2, "eth0", { link: 2, linkNetnsid: 0 })], { c: 0 }),
  ]);
  t.deepEqual(peers.get(peerKey("a", 2)), { node: "b", interface: "eth0" });
  t.deepEqual(peers.get(peerKey("d", 2)), { node: "c", interface: "eth0" });
});

test("where a kernel leaves IFLA_LINK out because both indexes are equal, the id alone tells", (t) => {
  const { peers } = relate([
    node("host", [link(7, "veth7", { linkNetnsid: 3 })], { web: 3 }),
    node("web", [link(7, "eth0", { linkNetnsid: 0 })], { host: 0 }),
  ]);
  t.deepEqual(peers.get(peerKey("host", 7)), { node: "web", interface: "eth0" });
  t.deepEqual(peers.get(peerKey("web", 7)), { node: "host", interface: "veth7" });
});

test("both ends in one namespace have no id, and are no pair with those of others", (t) => {
  const { peers, beyond } = relate([
    node("a", [link(2, "x", { link: 3 }), link(3, "y", { link: 2 })]),
    node("b", [link(3, "y", { link: 2, linkNetnsid: 5 })]),
  ]);
  t.deepEqual(peers.get(peerKey("a", 2)), { node: "a", interface: "y" });
  t.false(peers.has(peerKey("b", 3)));
  t.is(beyond.get(peerKey("b", 3)), 5, "its other end is in a namespace that is no node here");
});

test("a parent lies in the same namespace, in another, or out of sight", (t) => {
  const child = { kind: "macvlan", link: 4 };
  const { parents, peers, beyond } = relate([
    node("host", [link(4, "eth0", { kind: undefined }), link(5, "mac0", child)]),
    node("web", [link(4, "eth0", { ...child, linkNetnsid: 1 })], { host: 1 }),
    node("far", [link(4, "eth0", { ...child, linkNetnsid: 9 })]),
  ]);
  t.deepEqual(parents.get(peerKey("host", 5)), { node: "host", interface: "eth0" });
  t.deepEqual(parents.get(peerKey("web", 4)), { node: "host", interface: "eth0" });
  t.is(beyond.get(peerKey("far", 4)), 9);
  t.is(peers.size, 0);
});

test("of many that could be it, those alone are asked for that look like what the kernel shows there", (t) => {
  const count = 200;
  let asked = 0;
  const names = Array.from({ length: count }, (_, index) => `n${index}`);
  const partner = (index: number): number => (index % 2 === 0 ? index + 1 : index - 1);
  const mac = (index: number): string =>
    `02:00:00:00:${(index >> 8).toString(16).padStart(2, "0")}:${(index & 255).toString(16).padStart(2, "0")}`;
  const nodes = names.map((name, index) =>
    node(
      name,
      [link(2, "eth0", { link: 2, linkNetnsid: 0, mac: mac(index) })],
      {},
      {
        namespaceId: (other) => ((asked += 1), other === `n${partner(index)}` ? 0 : undefined),
        lookInto: () => ({ name: "eth0", mac: mac(partner(index)) }),
      },
    ),
  );
  const { peers } = relate(nodes);
  names.forEach((name, index) => t.is(peers.get(peerKey(name, 2))?.node, `n${partner(index)}`));
  t.is(asked, count, "one question each, not one for each other");
});
