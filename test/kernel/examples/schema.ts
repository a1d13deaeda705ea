import { attributes, cstr, decode, encodeInto, pathAt, print, u32, Writer } from "../../../src/kernel/codec/index.js";

const device = attributes({ name: [3, cstr], limits: [7, attributes({ rate: [1, u32] })] });

const out = new Writer();
encodeInto(out, device, { name: "eth0", limits: { rate: 1000 } });
const bytes = out.finish();

console.log(Buffer.from(bytes).toString("hex"));
const { name, limits } = decode(device, bytes); // name?: string, limits?: { rate?: number }
console.log(name, limits?.rate);
console.log(pathAt(device, bytes, 16), "|", print(decode(device, bytes)));
