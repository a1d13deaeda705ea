/** Which reader a capture needs, by its first bytes. */
import { word } from "./address.js";
import { CaptureError } from "./error.js";
import { type CaptureReader, PcapReader, type RecordSink } from "./pcap.js";
import { PcapngReader } from "./pcapng.js";

export type OpenReader = (epoch: bigint, sink: RecordSink) => CaptureReader;

/**
 * Nanosecond pcap and pcapng go to our own readers, a plain microsecond file to pcap-parser, which is loaded only then.
 *
 * @param first at least four bytes from the beginning of the capture; they are not consumed
 * @throws CaptureError for anything that is no capture
 */
export async function readerFor(first: Uint8Array): Promise<OpenReader> {
  if (first.length < 4) throw new CaptureError("TRUNCATED", "the capture ends inside its file header", first.length);
  switch (word(first, 0)) {
    case 0x0a0d0d0a:
      return (epoch, sink) => new PcapngReader(epoch, sink);
    case 0xa1b23c4d:
    case 0x4d3cb2a1:
      return (epoch, sink) => new PcapReader(epoch, sink);
    case 0xa1b2c3d4:
    case 0xd4c3b2a1: {
      const { PcapParserReader } = await import("./pcap-parser-reader.js");
      return (epoch, sink) => new PcapParserReader(epoch, sink);
    }
    default: {
      const hex = Array.from(first.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
      throw new CaptureError("NOT_PCAP", `this is no pcap or pcapng file: it begins with ${hex}`, 0);
    }
  }
}
