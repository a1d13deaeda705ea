/** Output in pieces, and what a slow reader does to it. */
import { Writable } from "node:stream";
import test from "ava";
import { Outflow } from "../../commands/base/outflow.js";

/** Takes nothing before it is told to. */
class Slow extends Writable {
  readonly chunks: string[] = [];
  #take: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(chunk.toString());
    this.#take = done;
  }

  /** Takes until there is nothing left. */
  take(): void {
    for (let next = this.#take; next !== undefined; next = this.#take) {
      this.#take = undefined;
      next();
    }
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what one turn brings is written once, at its end; more than a piece at once", async (t) => {
  const reader = new Slow();
  const flow = new Outflow(reader);
  for (const line of ["a\n", "", "b\n"]) flow.write(line);
  t.deepEqual(reader.chunks, []);
  await turn();
  t.deepEqual(reader.chunks, ["a\nb\n"]);
  reader.take();
  flow.write("c".repeat(65_536));
  flow.write("d");
  t.deepEqual(
    reader.chunks.map(({ length }) => length),
    [4, 65_536],
  );
  flow.flush();
  flow.flush();
  reader.take();
  t.is(reader.chunks.at(-1), "d");
  const bytes = new Slow();
  const binary = new Outflow(bytes);
  for (const part of ["one ", "two"]) binary.write(Buffer.from(part));
  await turn();
  t.deepEqual(bytes.chunks, ["one two"]);
});

test("a reader who is far behind is waited for, until it has caught up or is gone", async (t) => {
  const reader = new Slow();
  const flow = new Outflow(reader);
  const piece = "x".repeat(1 << 20);
  let written = 0;
  for (; flow.pressure === undefined && written < 100; written++) flow.write(piece);
  t.is(written, 16, "mebibytes that wait");
  t.is(flow.pressure, flow.pressure, "one wait for all");
  const caughtUp = flow.pressure;
  const asking = setInterval(() => reader.take(), 1);
  await caughtUp;
  clearInterval(asking);
  t.is(flow.pressure, undefined);
  t.is(reader.chunks.length, 16);

  for (let more = 0; more < 16; more++) flow.write(piece);
  const gone = flow.pressure;
  t.not(gone, undefined);
  reader.destroy();
  await gone;
  t.is(flow.pressure, undefined);
});
