/** From the bytes of a capture to rows that wait for their turn. */
import type { RecordSink, CaptureReader } from "../packet/pcap.js";
import { PcapReader } from "../packet/pcap.js";
import { Decoder } from "../packet/decode.js";
import type { TraceCore } from "./core.js";
import type { Merge } from "./merge.js";

/** What a tap captures: one hop, or (`-i any`, LINKTYPE_LINUX_SLL2) several by their interface index. */
export type TapSource =
  | { readonly hop: number }
  /** Interface index to hop number; records of other interfaces are passed over. */
  | { readonly interfaces: ReadonlyMap<number, number> };

/** Makes a reader for the bytes of a capture; the default reads pcap. */
export type OpenReader = (epoch: bigint, sink: RecordSink) => CaptureReader;

export class Feed {
  readonly tap: number;
  readonly source: TapSource;
  readonly #reader: CaptureReader;
  readonly #merge: Merge;

  constructor(core: TraceCore, merge: Merge, epoch: bigint, source: TapSource, open?: OpenReader) {
    this.tap = merge.add();
    this.source = source;
    this.#merge = merge;
    const c = core.columns;
    const decoder = new Decoder(c, core.book);
    let record = 0;
    let linkType = -1;
    const sink: RecordSink = (time, bytes, offset, captured, length) => {
      if (linkType < 0) linkType = this.#reader.header?.linkType ?? 1;
      const row = c.take();
      const index = decoder.decode(row, linkType, bytes, offset, captured, length);
      const hop = "hop" in source ? source.hop : source.interfaces.get(index);
      const number = record++;
      if (hop === undefined) {
        c.release(row);
        return;
      }
      c.time[row] = time;
      c.hop[row] = hop;
      c.record[row] = number;
      merge.push(this.tap, row);
    };
    this.#reader = open ? open(epoch, sink) : new PcapReader(epoch, sink);
  }

  get hops(): readonly number[] {
    return "hop" in this.source ? [this.source.hop] : [...this.source.interfaces.values()];
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
