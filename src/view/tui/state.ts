/**
 * What the TUI shows and how keys change it. No terminal here: a key goes in, a frame (`frame.ts`) comes out, so that
 * the whole behaviour can be tested as values.
 */
import type { PacketEvent, TraceEvent, Verdict } from "../../model/trace.js";
import { DeathCount } from "../closing.js";
import { GapTimes } from "../gap-times.js";
import { ladderLayout, ladderWidth } from "../ladder.js";
import { askedOnce, noPackets, type PacketSource } from "../packet-source.js";
import { pathOf, type Station } from "../path.js";
import { logTitle } from "../log-title.js";
import { milliseconds } from "../quantity.js";
import { TraceLog } from "../trace-log.js";
import { visible, visibleDeep } from "../width.js";
import { CommandOutput } from "./command-output.js";
import type { Action } from "./keys.js";
import { PacketList } from "./packet-list.js";

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

/** Cells that one key scrolls the ladder by. */
const ladderStep = 8;

export class TuiState {
  readonly title: string;
  readonly source: PacketSource;
  readonly canExport: boolean;
  /** What the trace told, but for its packets: those are the list's. */
  readonly log = new TraceLog();
  readonly list: PacketList;
  readonly output = new CommandOutput();
  readonly deaths = new DeathCount();
  readonly gapTimes = new GapTimes();
  /** Packets that closed, by verdict. */
  readonly verdicts: Record<Verdict["kind"], number> = { delivered: 0, refused: 0, dropped: 0, unknown: 0 };

  pane: Pane = "packets";
  mode: "list" | "ladder" = "list";
  /** Undefined until asked for: bytes then stand beside the fields where there is room. */
  hex: boolean | undefined;
  /** Stands over the panes until a key closes it. */
  overlay: "help" | "summary" | undefined;
  overlayTop = 0;
  prompt: Prompt | undefined;
  /** Said at the bottom until the next key. */
  message = "";
  /** How the trace ended; undefined while it runs. */
  finished: string | undefined;
  /** Which of the selected packet's sightings the detail pane shows. */
  station = 0;
  detailLine = 0;
  ladderScroll = 0;
  /** Lines that the detail pane has, and whether bytes are among them: set by the frame. */
  detailLines = 0;
  hexShown = false;

  #filterBefore = "";

  constructor(settings: TuiSettings) {
    this.title = visible(settings.title);
    this.source = askedOnce(settings.source ?? noPackets);
    this.canExport = settings.canExport;
    this.list = new PacketList(settings.live, settings.limit);
    if (!settings.live) this.finished = "";
  }

  /** Stations of the selected packet that saw it. */
  get sighted(): readonly Station[] {
    const { packet } = this.list;
    return packet === undefined ? [] : pathOf(packet).stations.filter(({ sighting }) => sighting !== undefined);
  }

  push(raw: TraceEvent): void {
    const event = visibleDeep(raw);
    if (event.type === "log") {
      this.output.add(`${milliseconds(event.time)} ms  ${logTitle(event)}: ${event.text}\n`);
      return;
    }
    if (event.type !== "packet") {
      this.log.push(event);
      if (event.type === "hop") this.gapTimes.push(event);
      if (event.type === "end") this.#whileSelecting(() => this.list.settle());
      return;
    }
    if (event.provisional !== true) {
      this.verdicts[event.verdict.kind] += 1;
      this.deaths.push(event);
      this.gapTimes.push(event);
    }
    this.#whileSelecting(() => this.list.push(event));
  }

  /** A key while a line is being typed. */
  type(key: string): Request | undefined {
    const { prompt } = this;
    if (prompt === undefined) return undefined;
    if (key === "C-c") return { kind: "interrupt" };
    if (key === "escape") {
      this.prompt = undefined;
      if (prompt.kind === "filter") this.#filter(this.#filterBefore);
    } else if (key === "enter") {
      this.prompt = undefined;
      if (prompt.kind === "export") return this.#exportTo(prompt.text.trim());
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
    else this.#whileSelecting(this.#actions[action]);
    return undefined;
  }

  readonly #actions: Readonly<Record<Exclude<Action, "quit" | "interrupt">, () => void>> = {
    down: () => this.#step(1),
    up: () => this.#step(-1),
    "page-down": () => this.#step(Math.max(1, this.list.page - 1)),
    "page-up": () => this.#step(-Math.max(1, this.list.page - 1)),
    first: () => this.#toEnd(-1),
    last: () => this.#toEnd(1),
    left: () => this.#sideways(-1),
    right: () => this.#sideways(1),
    open: () => (this.pane = "detail"),
    back: () => this.#back(),
    "next-pane": () => this.#turnPane(1),
    "previous-pane": () => this.#turnPane(-1),
    follow: () => this.list.toggleFollow(),
    pause: () => this.list.togglePause(),
    filter: () => {
      this.#filterBefore = this.list.filterText;
      this.prompt = { kind: "filter", text: this.#filterBefore };
    },
    "next-problem": () => {
      if (!this.list.toProblem(1)) this.message = "no problem below";
    },
    "previous-problem": () => {
      if (!this.list.toProblem(-1)) this.message = "no problem above";
    },
    mark: () => this.list.mark(),
    "only-marked": () => {
      if (!this.list.toggleOnlyMarked()) this.message = "no packet is marked: m marks one";
    },
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

  /** Another packet is shown from its first hop and its first field. */
  #whileSelecting(act: () => void): void {
    const before = this.list.selected;
    act();
    if (this.list.selected === before) return;
    this.station = 0;
    this.detailLine = 0;
  }

  #open(overlay: "help" | "summary"): void {
    this.overlay = overlay;
    this.overlayTop = 0;
  }

  /** The keys that move scroll it; every other one closes it. */
  #overlayKey(action: Action): void {
    const { page } = this.list;
    const steps: Partial<Record<Action, number>> = { down: 1, up: -1, "page-down": page, "page-up": -page };
    const step = steps[action];
    if (step === undefined) this.overlay = undefined;
    else this.overlayTop = Math.max(0, this.overlayTop + step);
  }

  #step(by: number): void {
    if (this.pane === "packets") this.list.step(by);
    else if (this.pane === "path") this.#toStation(this.station + Math.sign(by));
    else this.#toDetailLine(this.detailLine + by);
  }

  #toEnd(side: -1 | 1): void {
    if (this.pane === "packets") this.list.jump(side);
    else if (this.pane === "path") this.#toStation(side * Infinity);
    else this.#toDetailLine(side * Infinity);
  }

  #toStation(index: number): void {
    this.station = Math.max(0, Math.min(this.sighted.length - 1, index));
    this.detailLine = 0;
  }

  #toDetailLine(line: number): void {
    this.detailLine = Math.max(0, Math.min(this.detailLines - 1, line));
  }

  #sideways(by: -1 | 1): void {
    if (this.mode === "list") this.#toStation(this.station + by);
    else {
      const most = ladderWidth(ladderLayout(this.log.hopNames()));
      this.ladderScroll = Math.max(0, Math.min(most, this.ladderScroll + by * ladderStep));
    }
  }

  #turnPane(by: number): void {
    this.pane = panes[(panes.indexOf(this.pane) + by + panes.length) % panes.length] ?? "packets";
  }

  /** One step back: to the packets, then out of the ladder, then out of the filter. */
  #back(): void {
    if (this.pane !== "packets") this.pane = "packets";
    else if (this.mode === "ladder") this.mode = "list";
    else this.list.setFilter("");
  }

  #filter(text: string): string | undefined {
    let error: string | undefined;
    this.#whileSelecting(() => (error = this.list.setFilter(text)));
    return error;
  }

  #edit(prompt: Prompt, text: string): void {
    const error = prompt.kind === "filter" ? this.#filter(text) : undefined;
    this.prompt = { kind: prompt.kind, text, ...(error !== undefined && { error }) };
  }

  #exportTo(path: string): Request | undefined {
    if (path === "") return undefined;
    const packets = this.list.shown.filter(({ provisional }) => provisional !== true);
    return { kind: "export", path, packets };
  }
}
