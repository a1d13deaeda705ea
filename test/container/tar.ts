/** Tar archives, byte for byte, as nobody's tar(1) would write them (POSIX pax(1), ustar and GNU forms). */

export interface TarEntry {
  readonly name: string;
  /** `0` file, `1` hard link, `2` symbolic link, `3` and `4` devices, `5` folder, `6` FIFO, `L` GNU long name, `x` pax header. */
  readonly type?: string;
  readonly mode?: number;
  readonly link?: string;
  readonly content?: string;
  /** What the header says of the size, where it lies. */
  readonly size?: string;
  readonly device?: readonly [major: number, minor: number];
  readonly checksum?: number;
}

const block = 512;
const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, "0")}\0`;

function header({ name, type = "0", mode = 0o644, link = "", content = "", size, device, checksum }: TarEntry): Buffer {
  const bytes = Buffer.alloc(block);
  const put = (text: string, at: number) => bytes.write(text, at, "latin1");
  put(name.slice(0, 100), 0);
  put(octal(mode, 8), 100);
  put(octal(0, 8), 108);
  put(octal(0, 8), 116);
  put(size ?? octal(content.length, 12), 124);
  put(octal(0, 12), 136);
  put("        ", 148);
  put(type, 156);
  put(link.slice(0, 100), 157);
  put("ustar\0" + "00", 257);
  if (device !== undefined) {
    put(octal(device[0], 8), 329);
    put(octal(device[1], 8), 337);
  }
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(`${(checksum ?? sum).toString(8).padStart(6, "0")}\0 `, 148);
  return bytes;
}

/** An archive of these entries, with the two empty blocks at its end. */
export function tar(entries: readonly TarEntry[]): Buffer {
  const parts = entries.flatMap((entry) => {
    const content = Buffer.from(entry.content ?? "", "latin1");
    return [header(entry), content, Buffer.alloc((block - (content.length % block)) % block)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

/** A record of a pax header: `LENGTH KEY=VALUE\n`, whose length counts itself. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}
