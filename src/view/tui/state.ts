/**
 * What the TUI shows and how keys change it. No terminal here: a key goes in, a frame (`frame.ts`) comes out, so that
 * the whole behaviour can be tested as values.
 */
import type { PacketEvent, TraceEvent } from "../../model/trace.js";
import { DeathCount } from "../closing.js";
import { GapTimes } from "../gap-times.js";
import { ladderLayout, ladderWidth } from "../ladder.js";
import { PacketRing } from "../packet-ring.js";
import { noPackets, type PacketSource } from "../packet-source.js";
import { pathOf, type Station } from "../path.js";
import { TraceLog } from "../trace-log.js";
import { isProblem } from "../verdict.js";
import { visible, visibleDeep } from "../width.js";
import { parseFilter, type PacketTest } from "./filter.js";
import type { Action } from "./keys.js";

export type Pane = "packets" | "path" | "detail";
const panes: readonly Pane[] = ["packets", "path", "detail"];

/** A line that is being typed at the bottom of the screen. */
export interface Prompt {
  readonly kind: "filter" | "export";
  readonly text: string;
  /** Why the text does not hold (yet). */
  readonly error?: string;
}

/** What a key asks of the world outside. */
export type Request =
  | { readonly kind: "quit" }
  | { readonly kind: "interrupt" }
  | { readonly kind: "export"; readonly path: string; readonly packets: readonly PacketEvent[] };

export interface TuiSettings {
  readonly title: string;
  readonly source?: PacketSource;
  /** New packets may come: begin at the end of the list and follow it. */
  readonly live: boolean;
  readonly canExport: boolean;
  /** Packets kept; the oldest go first. */
  readonly limit?: number;
}

const everything: PacketTest = () => true;
const outputLinesKept = 500;
/** Cells that one key scrolls the ladder by. */
const ladderStep = 8;

export class TuiState {
  readonly title: string;
  readonly source: PacketSource;
  readonly canExport: boolean;
  readonly log: TraceLog;
  /** Packets that pass the filter, in the order of the list. */
  readonly shown: PacketRing;
  readonly deaths = new DeathCount();
  readonly gapTimes = new GapTimes();
  readonly marks = new Set<number>();
  readonly output: string[] = [];

  pane: Pane = "packets";
  mode: "list" | "ladder" = "list";
  follow: boolean;
  paused = false;
  onlyMarked = false;
  /** Undefined until asked for: bytes then stand beside the fields where there is room. */
  hex: boolean | undefined;
  /** Stands over the panes until a key closes it. */
  overlay: "help" | "summary" | undefined;
  overlayTop = 0;
  filterText = "";
  prompt: Prompt | undefined;
  /** Said at the bottom until the next key. */
  message = "";
  /** How the trace ended. */
  finished: string | undefined;
  /** Number of the selected packet. */
  selected: number | undefined;
  /** Station of the selected packet's path whose bytes the detail pane shows. */
  station = 0;
  detailLine = 0;
  ladderScroll = 0;
  /** First row of the list in sight, and rows in sight: set by the frame, for paging. */
  top = 0;
  page = 10;
  /** Lines that the detail pane has, and whether bytes are among them: set by the frame. */
  detailLines = 0;
  hexShown = false;

  #test: PacketTest = everything;
  #unfinishedOutput = "";
  #arrivedWhilePaused = 0;

  constructor(settings: TuiSettings) {
    this.title = visible(settings.title);
    this.source = settings.source ?? noPackets;
    this.canExport = settings.canExport;
    this.follow = settings.live;
    this.log = new TraceLog(settings.limit);
    this.shown = new PacketRing(settings.limit);
  }

  get arrivedWhilePaused(): number {
    return this.#arrivedWhilePaused;
  }

  get packet(): PacketEvent | undefined {
    return this.selected === undefined ? undefined : this.shown.get(this.selected);
  }

  /** Stations of the selected packet that saw it. */
  get sighted(): readonly Station[] {
    const { packet } = this;
    return packet === undefined ? [] : pathOf(packet).stations.filter(({ sighting }) => sighting !== undefined);
  }

  push(raw: TraceEvent): void {
    const event = visibleDeep(raw);
    this.log.push(event);
    if (event.type !== "packet") return;
    this.deaths.push(event);
    this.gapTimes.push(event);
    if (this.paused && this.shown.get(event.id) === undefined) {
      if (event.provisional !== true) this.#arrivedWhilePaused += 1;
      return;
    }
    this.#show(event);
    if (this.follow || this.selected === undefined) this.#selectEdge();
  }

  /** Output of the traced command. A carriage return begins its line anew, as on a terminal. */
  addOutput(text: string): void {
    const lines = (this.#unfinishedOutput + text).split("\n");
    this.#unfinishedOutput = lines.pop() ?? "";
    for (const line of lines) this.output.push(outputLine(line));
    this.output.splice(0, Math.max(0, this.output.length - outputLinesKept));
  }

  /** The last line, also where it is not complete yet. */
  get outputLines(): readonly string[] {
    return this.#unfinishedOutput === "" ? this.output : [...this.output, outputLine(this.#unfinishedOutput)];
  }

  /** A key while a line is being typed. */
  type(key: string): Request | undefined {
    const { prompt } = this;
    if (prompt === undefined) return undefined;
    if (key === "C-c") return { kind: "interrupt" };
    if (key === "escape") {
      this.prompt = undefined;
      if (prompt.kind === "filter") this.setFilter("");
    } else if (key === "enter") {
      this.prompt = undefined;
      if (prompt.kind === "export") return this.#exportTo(prompt.text);
      if (prompt.error !== undefined) this.message = `filter unchanged: ${prompt.error}`;
    } else if (key === "backspace") this.#edit(prompt, prompt.text.replace(/.$/u, ""));
    else if (key === "C-u") this.#edit(prompt, "");
    else if (/^.$/u.test(key)) this.#edit(prompt, prompt.text + key);
    return undefined;
  }

  /** A key otherwise. */
  act(action: Action): Request | undefined {
    this.message = "";
    if (action === "quit" || action === "interrupt") return { kind: action };
    if (this.overlay !== undefined) this.#overlayKey(action);
    else this.#actions[action]();
    return undefined;
  }

  /** Takes effect where the text holds; else the filter stays as it was. */
  setFilter(text: string): string | undefined {
    const parsed = parseFilter(text);
    if (!parsed.ok) return parsed.error;
    this.filterText = text.trim();
    this.#test = parsed.test;
    this.#refill();
    return undefined;
  }

  readonly #actions: Readonly<Record<Exclude<Action, "quit" | "interrupt">, () => void>> = {
    down: () => this.#step(1),
    up: () => this.#step(-1),
    "page-down": () => this.#step(Math.max(1, this.page - 1)),
    "page-up": () => this.#step(-Math.max(1, this.page - 1)),
    first: () => this.#toEnd(-1),
    last: () => this.#toEnd(1),
    left: () => this.#sideways(-1),
    right: () => this.#sideways(1),
    open: () => this.#focus("detail"),
    back: () => this.#back(),
    "next-pane": () => this.#focus(panes[(panes.indexOf(this.pane) + 1) % panes.length] ?? "packets"),
    "previous-pane": () =>
      this.#focus(panes[(panes.indexOf(this.pane) + panes.length - 1) % panes.length] ?? "packets"),
    follow: () => this.#toggleFollow(),
    pause: () => this.#togglePause(),
    filter: () => (this.prompt = { kind: "filter", text: this.filterText }),
    "next-problem": () => this.#problem(1),
    "previous-problem": () => this.#problem(-1),
    mark: () => this.#mark(),
    "only-marked": () => this.#toggleOnlyMarked(),
    ladder: () => {
      this.mode = this.mode === "list" ? "ladder" : "list";
      this.pane = "packets";
    },
    hex: () => (this.hex = !this.hexShown),
    export: () => {
      if (this.canExport) this.prompt = { kind: "export", text: "trace.pcapng" };
      else this.message = "nothing to export from here";
    },
    summary: () => this.#open("summary"),
    help: () => this.#open("help"),
  };

  #open(overlay: "help" | "summary"): void {
    this.overlay = overlay;
    this.overlayTop = 0;
  }

  /** The keys that move scroll it; every other one closes it. */
  #overlayKey(action: Action): void {
    const steps: Partial<Record<Action, number>> = { down: 1, up: -1, "page-down": this.page, "page-up": -this.page };
    const step = steps[action];
    if (step === undefined) this.overlay = undefined;
    else this.overlayTop = Math.max(0, this.overlayTop + step);
  }

  #show(packet: PacketEvent): void {
    if ((this.onlyMarked && !this.marks.has(packet.id)) || !this.#test(packet)) this.shown.delete(packet.id);
    else this.shown.put(packet);
  }

  #refill(): void {
    this.shown.clear();
    for (const packet of this.log.packets) this.#show(packet);
    this.#arrivedWhilePaused = 0;
    if (this.follow) this.#selectEdge();
    else this.#keepSelection();
  }

  /** The selected packet, or the one that now stands in its place. */
  #keepSelection(): void {
    const { packets } = this.shown;
    const index = this.selected === undefined ? 0 : this.shown.indexOf(this.selected);
    this.#select(packets[Math.min(index, packets.length - 1)]);
  }

  #selectEdge(): void {
    this.#select(this.follow ? this.shown.packets.at(-1) : this.shown.packets[0]);
  }

  #select(packet: PacketEvent | undefined): void {
    if (packet?.id === this.selected) return;
    this.selected = packet?.id;
    this.station = 0;
    this.detailLine = 0;
  }

  #step(by: number): void {
    if (this.pane === "path") this.#toStation(this.station + Math.sign(by));
    else if (this.pane === "detail") {
      this.detailLine = Math.max(0, Math.min(this.detailLines - 1, this.detailLine + by));
    } else {
      const { packets } = this.shown;
      const index = this.selected === undefined ? 0 : this.shown.indexOf(this.selected) + by;
      this.follow = false;
      this.#select(packets[Math.max(0, Math.min(packets.length - 1, index))]);
    }
  }

  #toEnd(side: -1 | 1): void {
    if (this.pane === "detail") this.detailLine = side < 0 ? 0 : Math.max(0, this.detailLines - 1);
    else if (this.pane === "path") this.#toStation(side < 0 ? 0 : this.sighted.length - 1);
    else {
      this.follow = false;
      this.#select(side < 0 ? this.shown.packets[0] : this.shown.packets.at(-1));
    }
  }

  #toStation(index: number): void {
    this.station = Math.max(0, Math.min(this.sighted.length - 1, index));
    this.detailLine = 0;
  }

  #sideways(by: -1 | 1): void {
    if (this.mode === "list") this.#toStation(this.station + by);
    else {
      const most = ladderWidth(ladderLayout(this.log.hopNames()));
      this.ladderScroll = Math.max(0, Math.min(most, this.ladderScroll + by * ladderStep));
    }
  }

  #focus(pane: Pane): void {
    this.pane = pane;
  }

  /** One step back: to the packets, then out of the ladder, then out of the filter. */
  #back(): void {
    if (this.pane !== "packets") this.pane = "packets";
    else if (this.mode === "ladder") this.mode = "list";
    else if (this.filterText !== "") this.setFilter("");
  }

  #toggleFollow(): void {
    this.follow = !this.follow;
    if (this.follow && this.paused) this.#togglePause();
    if (this.follow) this.#selectEdge();
  }

  #togglePause(): void {
    this.paused = !this.paused;
    if (!this.paused) this.#refill();
  }

  #problem(direction: -1 | 1): void {
    const { packets } = this.shown;
    const start = this.selected === undefined ? -1 : this.shown.indexOf(this.selected);
    for (let index = start + direction; index >= 0 && index < packets.length; index += direction) {
      const packet = packets[index];
      if (packet !== undefined && isProblem(packet)) {
        this.follow = false;
        this.#select(packet);
        return;
      }
    }
    this.message = direction > 0 ? "no problem below" : "no problem above";
  }

  #mark(): void {
    if (this.selected === undefined) return;
    if (!this.marks.delete(this.selected)) this.marks.add(this.selected);
    if (this.onlyMarked) this.#refill();
  }

  #toggleOnlyMarked(): void {
    if (!this.onlyMarked && this.marks.size === 0) {
      this.message = "no packet is marked: m marks one";
      return;
    }
    this.onlyMarked = !this.onlyMarked;
    this.#refill();
  }

  #edit(prompt: Prompt, text: string): void {
    const error = prompt.kind === "filter" ? this.setFilter(text) : undefined;
    this.prompt = { kind: prompt.kind, text, ...(error !== undefined && { error }) };
  }

  #exportTo(path: string): Request | undefined {
    if (path.trim() === "") return undefined;
    return {
      kind: "export",
      path: path.trim(),
      packets: this.shown.packets.filter(({ provisional }) => provisional !== true),
    };
  }
}

function outputLine(line: string): string {
  // eslint-disable-next-line no-control-regex -- colours of the command are left out
  const bare = line.replace(/\u001b\[[0-9;]*m/g, "").replace(/\r$/, "");
  return visible(bare.slice(bare.lastIndexOf("\r") + 1).replaceAll("\t", "    "));
}
