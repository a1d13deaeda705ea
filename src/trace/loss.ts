/** Where a packet that was not seen again should have gone: the snapshot says, and what taps missed takes it back. */
import type { Verdict } from "../model/trace.js";
import type { Address } from "../model/address.js";
import type { Header } from "../path/header.js";
import type { Translate } from "../path/connection.js";
import { predict, type PredictionStart } from "../path/predict.js";
import type { Prediction } from "../path/prediction.js";
import { type AddressBook, macNumber, macText } from "../packet/address.js";
import { type Columns, Kind, Mark, Tcp } from "../packet/columns.js";
import { type FlowIndex, isNameless } from "./flow-index.js";
import { NONE } from "./packets.js";
import type { Scene } from "./scene.js";
import type { TapLosses } from "./tap-losses.js";

/** Predictions kept: losses tend to repeat. */
const REMEMBERED = 256;

export class Loss {
  readonly #scene: Scene;
  readonly #columns: Columns;
  readonly #book: AddressBook;
  readonly #flows: FlowIndex;
  readonly #losses: TapLosses;
  readonly #predictions = new Map<string, Verdict>();

  constructor(scene: Scene, columns: Columns, book: AddressBook, flows: FlowIndex, losses: TapLosses) {
    this.#scene = scene;
    this.#columns = columns;
    this.#book = book;
    this.#flows = flows;
    this.#losses = losses;
  }

  /** Not seen again after `row`: what became of it, as far as the snapshot, conntrack and the taps say. */
  after(row: number, parent: number): Verdict {
    const c = this.#columns;
    const hop = c.hop[row] ?? 0;
    const place = this.#scene.places[hop];
    const name = this.#scene.names[hop] ?? "";
    if (!place) return { kind: "unknown", reason: `${name} is not in the snapshot` };
    if (c.kind[row] === Kind.frame) return { kind: "delivered" };
    if (isNameless(c, row) && this.#scene.translates(this.#scene.nodes[hop] ?? 0))
      return { kind: "unknown", reason: "its first fragment was not seen, so whose it is cannot be said" };
    const direction = this.#heading(row, parent);
    if (c.kind[row] === Kind.arp) return this.#lostArp(row, direction);
    const header = this.header(row);
    if (header && c.kind[row] === Kind.icmpError) header.destination = this.#destinationOfError(row);
    if (!header) return { kind: "unknown", reason: `what ${name} saw is too short to follow` };
    const toward = (c.marks[row] ?? 0) & Mark.macs ? macText(c.destinationMac[row] ?? 0) : undefined;
    const key = JSON.stringify([
      hop,
      direction,
      toward,
      header.protocol,
      String(header.source.value),
      String(header.destination.value),
      header.sourcePort,
      header.destinationPort,
      header.icmpType,
      header.tcpFlags,
      header.ttl,
      this.#flows.table.size,
      this.#losses.state(c.time[row] ?? 0),
    ]);
    const known = this.#predictions.get(key);
    if (known) return known;
    const start: PredictionStart = {
      hop: { node: place.node.name, interface: place.interface.name, direction },
      header,
      ...(toward === undefined ? {} : { destinationMac: toward }),
      translate: this.#translate,
    };
    const verdict = this.#judge(predict(this.#scene.network, start), start, name, c.time[row] ?? 0);
    if (this.#predictions.size >= REMEMBERED) this.#predictions.clear();
    this.#predictions.set(key, verdict);
    return verdict;
  }

  /** @param time when it was seen last */
  #judge(prediction: Prediction, start: PredictionStart, after: string, time: number): Verdict {
    const { end } = prediction;
    // Where it would have gone, had no rule been in its way.
    const onward = end.kind === "dropped" ? predict(this.#scene.network, { ...start, pastRules: true }) : prediction;
    const next = onward.steps.slice(1).find((step) => !step.implied && this.#scene.hopNumbers.has(step.hop));
    const tapped = prediction.steps.slice(1).some((step) => !step.implied && this.#scene.hopNumbers.has(step.hop));
    const doubt = next && this.#losses.doubt(this.#scene.hopNumbers.get(next.hop) ?? -1, next.hop, time);
    if (doubt !== undefined) return { kind: "unknown", reason: doubt };
    const before = next === undefined ? {} : { before: next.hop };
    if (end.kind === "dropped" && !tapped) return { kind: "dropped", after, ...before, cause: end.cause };
    if (next !== undefined) return { kind: "dropped", after, ...before };
    if (end.kind === "unknown" && end.leaves !== true) return { kind: "unknown", reason: end.reason };
    return end.kind === "dropped" ? { kind: "dropped", after, cause: end.cause } : { kind: "delivered" };
  }

  /** Neighbour questions stay on their link-layer network. */
  #lostArp(row: number, direction: "in" | "out"): Verdict {
    const c = this.#columns;
    const hop = c.hop[row] ?? 0;
    const after = this.#scene.names[hop] ?? "";
    if (direction === "in" && this.#scene.ports[hop] === 0) return { kind: "delivered" };
    const place = this.#scene.places[hop];
    const peer = direction === "out" ? place?.peer : place?.master;
    const before = peer && `${peer.node.name}:${peer.interface.name}`;
    const number = before === undefined ? undefined : this.#scene.hopNumbers.get(before);
    if (before === undefined || number === undefined) return { kind: "delivered" };
    const doubt = this.#losses.doubt(number, before, c.time[row] ?? 0);
    if (doubt !== undefined) return { kind: "unknown", reason: doubt };
    return { kind: "dropped", after, before };
  }

  /**
   * Whether the last sighting of a packet was on its way in or out of the interface. The frame itself says so best: of where it
   * was before, taps may have missed the last part.
   */
  #heading(row: number, parent: number): "in" | "out" {
    const c = this.#columns;
    const hop = c.hop[row] ?? 0;
    const marks = c.marks[row] ?? 0;
    const { nodes, places, macs } = this.#scene;
    if (marks & Mark.outgoing) return "out";
    if (marks & Mark.macs) {
      const [source, destination] = [c.sourceMac[row], c.destinationMac[row]];
      const peer = places[hop]?.peer?.interface.mac;
      const peerMac = peer === undefined ? -1 : macNumber(peer);
      if (macs[hop] === destination || peerMac === source) return "in";
      if (macs[hop] === source || peerMac === destination) return "out";
    } else if ((macs[hop] ?? -1) >= 0) return "in"; // a tap on the whole node, which marks what goes out
    if (parent !== NONE) {
      const from = c.hop[parent] ?? 0;
      const up = places[hop] !== undefined && places[from]?.master === places[hop]; // from a port to its bridge
      return nodes[from] === nodes[hop] && !up ? "out" : "in";
    }
    if (marks & Mark.macs) return "in";
    return this.#scene.isLocal(nodes[hop] ?? 0, c.family[row] ?? 0, c.source[row] ?? 0) ? "out" : "in";
  }

  header(row: number): (Header & { destination: Address }) | undefined {
    const c = this.#columns;
    const family = c.family[row];
    if (family !== 4 && family !== 6) return undefined;
    const kind = c.kind[row];
    const named = kind === Kind.fragment && !isNameless(c, row);
    const ports = kind === Kind.tcp || kind === Kind.udp || kind === Kind.echo || named;
    const icmp = kind === Kind.echo || kind === Kind.icmp || kind === Kind.icmpError;
    return {
      family,
      protocol: c.protocol[row] ?? 0,
      source: this.#scene.address(family, c.source[row] ?? 0),
      destination: this.#scene.address(family, c.destination[row] ?? 0),
      ttl: c.ttl[row] ?? 0,
      ...(ports ? { sourcePort: c.sourcePort[row] ?? 0, destinationPort: c.destinationPort[row] ?? 0 } : {}),
      ...(icmp ? { icmpType: (c.sequence[row] ?? 0) >>> 24 } : {}),
      ...(kind === Kind.tcp ? { tcpFlags: (c.flags[row] ?? 0) & ~(Tcp.ece | Tcp.cwr) } : {}),
    };
  }

  /** An ICMP error goes where NAT leads the answers to the packet that it quotes. */
  #destinationOfError(row: number): Address {
    const c = this.#columns;
    const { table } = this.#flows;
    const entry = this.#flows.lookup(row, this.#scene.nodes[c.hop[row] ?? 0] ?? 0);
    const to = entry === NONE ? NONE : table.translated(entry);
    const family = c.family[row] ?? 0;
    const destination = to === NONE || to === entry ? (c.destination[row] ?? 0) : table.keyOf(to).destination;
    return this.#scene.address(family, destination);
  }

  /** Conntrack and what joins have taught, for the prediction. */
  readonly #translate: Translate = (node, header) => {
    const flows = this.#flows.table;
    const entry = flows.find(
      this.#scene.nodeNumber(node),
      header.family,
      header.protocol,
      this.#book.numberOf(header.family, header.source.value),
      this.#book.numberOf(header.family, header.destination.value),
      header.sourcePort ?? 0,
      header.destinationPort ?? 0,
    );
    const to = entry === NONE ? NONE : flows.translated(entry);
    if (to === NONE) return undefined;
    const key = flows.keyOf(to);
    const answered = (flows.flow(entry)?.sent[1] ?? 0) > 0;
    return {
      header: {
        ...header,
        source: this.#scene.address(key.family, key.source),
        destination: this.#scene.address(key.family, key.destination),
        ...(header.sourcePort === undefined ? {} : { sourcePort: key.sourcePort }),
        ...(header.destinationPort === undefined ? {} : { destinationPort: key.destinationPort }),
      },
      direction: flows.direction(entry) === 0 ? "original" : "reply",
      state: answered ? "established" : "new",
    };
  };

  /** Who sent a packet: the node whose interface saw it first, or the node behind that port. */
  sender(row: number): string {
    const hop = this.#columns.hop[row] ?? 0;
    const place = this.#scene.places[hop];
    if (place?.master && place.peer && this.#heading(row, NONE) === "in") return place.peer.node.name;
    return this.#scene.hops[hop]?.node ?? "";
  }
}
