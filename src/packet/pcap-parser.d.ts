/** What we use of pcap-parser 0.2.1, which ships no types. */
declare module "pcap-parser" {
  export interface ParserInput {
    on(event: "data" | "end" | "error", listener: (data: Buffer) => void): unknown;
    pause(): unknown;
    resume(): unknown;
  }
  export interface GlobalHeader {
    readonly majorVersion: number;
    readonly minorVersion: number;
    readonly snapshotLength: number;
    readonly linkLayerType: number;
  }
  export interface PacketHeader {
    readonly timestampSeconds: number;
    readonly timestampMicroseconds: number;
    readonly capturedLength: number;
    readonly originalLength: number;
  }
  export interface Parser {
    on(event: "globalHeader", listener: (header: GlobalHeader) => void): this;
    on(event: "packetHeader", listener: (header: PacketHeader) => void): this;
    on(event: "packet", listener: (packet: { readonly header: PacketHeader; readonly data: Buffer }) => void): this;
    on(event: "error", listener: (error: Error) => void): this;
    /** What of the last chunk is left, and the step that is next: read by the guard. */
    buffer: Buffer | null;
    state: (() => boolean) & { readonly name: string };
  }
  export function parse(input: ParserInput): Parser;
}
