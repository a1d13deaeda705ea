/** Attributes that stand several times, and nests that are lists. */
import { eachAttribute, lies, pathInside, writeAttribute } from "./attributes.js";
import type { Codec } from "./codec.js";

/** An attribute that may stand several times: its value is the list of all. */
export function multi<T>(each: Codec<T>): Codec<readonly T[]> {
  return {
    each,
    write(out, value, siblings) {
      for (const element of value) each.write(out, element, siblings);
    },
    read: (input, start, end, siblings) => [each.read(input, start, end, siblings)],
  };
}

/** A nest of attributes that all have the same type (NFTA_LIST_ELEM). */
export function list<T>(type: number, element: Codec<T>): Codec<readonly T[]> {
  return sequence(() => type, element);
}

/** A nest of attributes whose types only count, from `first`. */
export function indexed<T>(element: Codec<T>, first = 1): Codec<readonly T[]> {
  return sequence((index) => first + index, element);
}

function sequence<T>(typeOf: (index: number) => number, element: Codec<T>): Codec<readonly T[]> {
  return {
    isNested: () => true,
    write(out, value, siblings) {
      value.forEach((item, index) => writeAttribute(out, typeOf(index), element, item, siblings));
    },
    read(input, start, end, siblings) {
      const items: T[] = [];
      eachAttribute(input, start, end, (_type, from, to) => {
        items.push(element.read(input, from, to, siblings));
      });
      return items;
    },
    pathAt(input, start, end, sought, siblings) {
      let path: string[] = [];
      let index = 0;
      eachAttribute(input, start, end, (_type, from, to) => {
        if (lies(sought, from, to)) {
          path = [String(index), ...pathInside(element, input, from, to, sought, siblings)];
        }
        index++;
      });
      return path;
    },
  };
}
