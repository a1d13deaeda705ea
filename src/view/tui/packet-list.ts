/** The packets of the list: which pass the filter, which one is selected, which are marked; following, and pausing. */
import type { PacketEvent } from "../../model/trace.js";
import { PacketRing } from "../packet-ring.js";
import { isProblem } from "../verdict.js";
import { parseFilter, type PacketTest } from "./filter.js";

const everything: PacketTest = () => true;

export class PacketList {
  readonly marks = new Set<number>();
  /** Number of the selected packet. */
  selected: number | undefined;
  /** First row in sight, and rows in sight: set when the list is drawn, for paging. */
  top = 0;
  page = 10;

  readonly #all: PacketRing;
  readonly #shown: PacketRing;
  #test: PacketTest = everything;
  #filterText = "";
  #follow: boolean;
  #paused = false;
  #waiting = 0;
  #onlyMarked = false;

  /** @param limit packets kept; the oldest go first */
  constructor(follow: boolean, limit?: number) {
    this.#follow = follow;
    this.#all = new PacketRing(limit);
    this.#shown = new PacketRing(limit);
  }

  /** Every packet that is kept. */
  get all(): readonly PacketEvent[] {
    return this.#all.packets;
  }

  /** Those that pass the filter. */
  get shown(): readonly PacketEvent[] {
    return this.#shown.packets;
  }

  /** Packets that the limit pushed out. */
  get forgotten(): number {
    return this.#all.forgotten;
  }

  get packet(): PacketEvent | undefined {
    return this.selected === undefined ? undefined : this.#shown.get(this.selected);
  }

  get filterText(): string {
    return this.#filterText;
  }

  get follow(): boolean {
    return this.#follow;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Packets that arrived since the list is held still. */
  get waiting(): number {
    return this.#waiting;
  }

  get onlyMarked(): boolean {
    return this.#onlyMarked;
  }

  push(packet: PacketEvent): void {
    this.#all.put(packet);
    if (this.#paused && this.#shown.get(packet.id) === undefined) {
      if (packet.provisional !== true) this.#waiting += 1;
      return;
    }
    this.#show(packet);
    if (this.#follow) this.#toEnd(1);
    else if (this.selected === undefined) this.#select(this.shown[0]);
  }

  /** The trace has ended: what was still on its way is no packet of it. */
  settle(): void {
    for (const { id, provisional } of [...this.all]) {
      if (provisional !== true) continue;
      this.#all.delete(id);
      this.#shown.delete(id);
    }
    if (this.packet === undefined) this.#select(this.shown[Math.min(this.#index(), this.shown.length - 1)]);
  }

  /** Takes effect where the text holds; else gives back what is wrong, and the filter stays as it was. */
  setFilter(text: string): string | undefined {
    const parsed = parseFilter(text);
    if (!parsed.ok) return parsed.error;
    this.#filterText = text.trim();
    this.#test = parsed.test;
    this.#refill();
    return undefined;
  }

  /** By hand: the list no longer follows. */
  step(by: number): void {
    this.#follow = false;
    const index = this.#index() + by;
    this.#select(this.shown[Math.max(0, Math.min(this.shown.length - 1, index))]);
  }

  jump(side: -1 | 1): void {
    this.#follow = false;
    this.#toEnd(side);
  }

  /** @returns whether there was a problem in that direction */
  toProblem(direction: -1 | 1): boolean {
    for (let index = this.#index() + direction; index >= 0 && index < this.shown.length; index += direction) {
      const packet = this.shown[index];
      if (packet === undefined || !isProblem(packet)) continue;
      this.#follow = false;
      this.#select(packet);
      return true;
    }
    return false;
  }

  toggleFollow(): void {
    this.#follow = !this.#follow;
    if (!this.#follow) return;
    if (this.#paused) this.togglePause();
    this.#toEnd(1);
  }

  togglePause(): void {
    this.#paused = !this.#paused;
    if (!this.#paused) this.#refill();
  }

  mark(): void {
    if (this.selected === undefined) return;
    if (!this.marks.delete(this.selected)) this.marks.add(this.selected);
    if (this.#onlyMarked) this.#refill();
  }

  /** @returns false where nothing is marked: an empty list would help nobody */
  toggleOnlyMarked(): boolean {
    if (!this.#onlyMarked && this.marks.size === 0) return false;
    this.#onlyMarked = !this.#onlyMarked;
    this.#refill();
    return true;
  }

  /** Packets in sight; scrolls so that the selected one is among them. @param height rows that there is room for */
  inSight(height: number): readonly PacketEvent[] {
    this.page = Math.max(1, height);
    const index = this.#index();
    if (index < this.top) this.top = index;
    if (index >= this.top + this.page) this.top = index - this.page + 1;
    this.top = Math.max(0, Math.min(this.top, this.shown.length - this.page));
    return this.shown.slice(this.top, this.top + this.page);
  }

  #index(): number {
    return this.selected === undefined ? 0 : this.#shown.indexOf(this.selected);
  }

  #toEnd(side: -1 | 1): void {
    this.#select(side < 0 ? this.shown[0] : this.shown.at(-1));
  }

  #show(packet: PacketEvent): void {
    if ((this.#onlyMarked && !this.marks.has(packet.id)) || !this.#test(packet)) this.#shown.delete(packet.id);
    else this.#shown.put(packet);
  }

  /** The selected packet stays, or the one that now stands in its place is. */
  #refill(): void {
    this.#shown.clear();
    for (const packet of this.all) this.#show(packet);
    this.#waiting = 0;
    if (this.#follow) this.#toEnd(1);
    else this.#select(this.shown[Math.min(this.#index(), this.shown.length - 1)]);
  }

  #select(packet: PacketEvent | undefined): void {
    this.selected = packet?.id;
  }
}
