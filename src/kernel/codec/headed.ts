/** A struct and attributes after it: every rtnetlink message, a veth's peer, netem's options. */
import { type Codec, type Infer, unnamed } from "./codec.js";
import { align4 } from "./wire.js";

export interface Headed<H, A> {
  readonly header: H;
  readonly attributes: A;
}

export interface HeadedCodec<H, C extends Codec<unknown>> extends Codec<Headed<H, Infer<C>>> {
  readonly body: C;
}

export function headed<H, C extends Codec<unknown>>(
  header: Codec<H> & { readonly size: number },
  body: C,
): HeadedCodec<H, C> {
  const bodyAt = align4(header.size);
  return {
    body,
    nameOf: (type, siblings) => body.nameOf?.(type, siblings) ?? [unnamed(type)],
    write(out, value, siblings) {
      header.write(out, value.header, siblings);
      out.pad4();
      body.write(out, value.attributes, siblings);
    },
    read(input, start, end, siblings) {
      return {
        header: header.read(input, start, end, siblings),
        attributes: body.read(input, Math.min(start + bodyAt, end), end, siblings) as Infer<C>, // what C reads
      };
    },
    pathAt(input, start, end, sought, siblings) {
      return sought.offset < start + bodyAt
        ? (header.pathAt?.(input, start, end, sought, siblings) ?? [])
        : (body.pathAt?.(input, start + bodyAt, end, sought, siblings) ?? []);
    },
  };
}
