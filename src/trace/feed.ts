/** From the bytes of a capture to rows that wait for their turn. */
import { type CaptureReader, PcapReader, type RecordSink } from "../packet/pcap.js";
import type { OpenReader } from "../packet/open.js";
import { Decoder } from "../packet/decode.js";
import type { TraceCore } from "./core.js";
import type { Merge } from "./merge.js";

/** What a tap captures; hops are meant by their numbers. Records of other interfaces are passed over. */
export type TapSource =
  | { readonly hop: number }
  /** `-i any` (LINKTYPE_LINUX_SLL2): interface index to hop. */
  | { readonly interfaces: ReadonlyMap<number, number> }
  /** pcapng: number of the interface in the file to hop. */
  | { readonly links: ReadonlyMap<number, number> };

/** The part of a capture that counts, in nanoseconds since the epoch: taps that take over from others have the rest. */
export interface TapSpan {
  /** Records before it are the business of the taps before. Default: none is. */
  readonly from?: number;
  /** Records from here on are the business of the taps that took over. Default: none is. */
  readonly until?: number;
}

function hopOf(source: TapSource, link: number, index: number): number | undefined {
  if ("hop" in source) return source.hop;
  return "links" in source ? source.links.get(link) : source.interfaces.get(index);
}

export class Feed {
  readonly tap: number;
  /** Records from here on do not count. */
  until: number;
  readonly source: TapSource;
  /** It has delivered a record that does not count: so all that do. */
  past = false;
  readonly #reader: CaptureReader;
  readonly #merge: Merge;

  constructor(
    core: TraceCore,
    merge: Merge,
    epoch: bigint,
    source: TapSource,
    open?: OpenReader,
    { from = -Infinity, until = Infinity }: TapSpan = {},
  ) {
    this.tap = merge.add();
    this.source = source;
    this.until = until;
    merge.advance(this.tap, from);
    this.#merge = merge;
    const c = core.columns;
    const decoder = new Decoder(c, core.book);
    const only = "hop" in source ? source.hop : undefined;
    let record = 0;
    const sink: RecordSink = (time, bytes, offset, captured, length, link) => {
      const row = c.take();
      const index = decoder.decode(row, this.#reader.linkType(link), bytes, offset, captured, length);
      const hop = only ?? hopOf(source, link, index);
      const number = record++;
      if (time >= this.until) this.past = true;
      if (hop === undefined || time < from || time >= this.until) {
        c.release(row);
        return;
      }
      c.time[row] = time;
      c.hop[row] = hop;
      c.tap[row] = this.tap;
      c.record[row] = number;
      merge.push(this.tap, row, time);
    };
    this.#reader = open ? open(epoch, sink) : new PcapReader(epoch, sink);
  }

  get hops(): readonly number[] {
    if ("hop" in this.source) return [this.source.hop];
    return [...("links" in this.source ? this.source.links : this.source.interfaces).values()];
  }

  /** Records that it has delivered, those that do not count among them. */
  get records(): number {
    return this.#reader.records;
  }

  /** @throws CaptureError */
  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
  }

  /** @throws CaptureError where the capture ends inside a record; the tap is over all the same */
  end(): void {
    this.#merge.end(this.tap);
    this.#reader.end();
  }
}
