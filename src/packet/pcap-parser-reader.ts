/**
 * Microsecond pcap files by way of the pcap-parser package, behind the interface of our own reader, and with what the
 * package lacks: it swallows the rest of a file behind a corrupt length, and ends without a word where a file is cut
 * off (docs/decisions.md). An independent reading of the same format: the witness in the tests of `PcapReader`.
 */
import { type PacketHeader, parse, type Parser, type ParserInput } from "pcap-parser";
import { CaptureError } from "./error.js";
import { type CaptureHeader, type CaptureReader, MAXIMUM_RECORD, type RecordSink } from "./pcap.js";

export class PcapParserReader implements CaptureReader {
  header: CaptureHeader | undefined;
  records = 0;
  readonly #parser: Parser;
  readonly #data: (chunk: Buffer) => void;
  /** Bytes that were given to the parser. */
  #given = 0;
  #failure: CaptureError | undefined;

  constructor(epoch: bigint, sink: RecordSink) {
    // The package wants a stream; all it asks of one is to hear its chunks.
    const listeners = new Map<string, (chunk: Buffer) => void>();
    const input: ParserInput = {
      on: (event, listener) => listeners.set(event, listener),
      pause: () => undefined,
      resume: () => undefined,
    };
    const seconds = Number(epoch / 1_000_000_000n);
    const nanoseconds = Number(epoch % 1_000_000_000n);
    this.#parser = parse(input)
      .on("error", (error) => this.#fail("NOT_PCAP", `this is no pcap file: ${error.message}`))
      .on("globalHeader", (header) => {
        if (header.majorVersion !== 2 || header.minorVersion > 4) {
          this.#fail("NOT_PCAP", `pcap version ${header.majorVersion}.${header.minorVersion} is not supported`);
        }
        this.header = {
          format: "pcap",
          linkType: header.linkLayerType & 0xffff,
          snapshotLength: header.snapshotLength,
          nanoseconds: false,
        };
      })
      .on("packetHeader", (header) => this.#guard(header))
      .on("packet", ({ header, data }) => {
        if (this.#failure) return;
        this.records++;
        const time = (header.timestampSeconds - seconds) * 1e9 + (header.timestampMicroseconds * 1000 - nanoseconds);
        sink(time, data, 0, data.length, Math.max(header.originalLength, data.length), 0);
      });
    this.#data = listeners.get("data") ?? (() => undefined);
  }

  linkType(): number {
    return this.header?.linkType ?? 0;
  }

  push(chunk: Uint8Array): void {
    this.#given += chunk.length;
    this.#data(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    if (this.#failure) throw this.#failure;
  }

  end(): void {
    const left = this.#parser.buffer?.length ?? 0;
    if (this.#given === 0) throw new CaptureError("EMPTY", "the capture is empty", 0);
    if (this.header === undefined) {
      throw new CaptureError("TRUNCATED", "the capture ends inside its file header", this.#given);
    }
    if (left > 0 || this.#parser.state.name !== "parsePacketHeader") {
      throw new CaptureError("TRUNCATED", `the capture ends inside record ${this.records + 1}`, this.#given);
    }
  }

  #guard(header: PacketHeader): void {
    if (header.capturedLength <= MAXIMUM_RECORD) return;
    this.#fail(
      "CORRUPT",
      `record ${this.records + 1} claims ${header.capturedLength} captured bytes, more than any capture has`,
    );
  }

  /** Notes the failure, and makes the parser stop inside of its chunk. */
  #fail(code: string, message: string): void {
    const left = this.#parser.buffer?.length ?? 0;
    this.#failure ??= new CaptureError(code, message, Math.max(0, this.#given - left));
    this.#parser.state = stopped;
  }
}

function stopped(): boolean {
  return false;
}
