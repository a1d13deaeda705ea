/** Schemas as data: one description of a message gives writing, reading, printing and names for offsets. */
export * from "./wire.js";
export * from "./codec.js";
export * from "./scalar.js";
export * from "./address.js";
export * from "./struct.js";
export * from "./attributes.js";
export * from "./repeated.js";
export * from "./variant.js";
export * from "./headed.js";
export * from "./print.js";
