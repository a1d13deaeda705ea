// Loads the modules of dist/bundle, and keeps beside them what V8 made of each: a start then compiles nothing.
//
// Compiled code is only as good as the source and the V8 that it is of. V8 looks at its own version, its flags and the
// length of the source; it runs a corrupt file until it crashes, and code of another source as if it were this one's. So
// each file begins with checksums of both, and there is a folder for each version of node. What does not fit is not used.
// It lies in the package, whose owner has the say about what runs anyway.
//
// CommonJS: an import of a module of node's own costs more than all of this, as its names are copied.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");
const { crc32 } = require("node:zlib");

/** Of the source as it is compiled, then of the compiled code: two numbers of 32 bits, little-endian. */
const headerSize = 8;

class Modules {
  #loaded = new Map();
  #folder;
  /** How many were compiled before, and how many only now. */
  counts = { ready: 0, fresh: 0 };

  /** @param folder of the bundle */
  constructor(folder) {
    this.#folder = folder;
  }

  /** What a module of the bundle exports. @param file its path */
  load(file) {
    const known = this.#loaded.get(file);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    this.#loaded.set(file, module);
    const directory = path.dirname(file);
    const requireFrom = (id) => {
      if (id.startsWith("./") || id.startsWith("../")) return this.load(path.join(directory, id));
      return path.isAbsolute(id) ? this.load(id) : require(id);
    };
    const meta = {
      dirname: directory,
      filename: file,
      get url() {
        return require("node:url").pathToFileURL(file).href;
      },
    };
    this.#script(file).runInThisContext()(module.exports, requireFrom, module, meta);
    return module.exports;
  }

  #script(file) {
    const source = wrapped(file);
    const cachedData = readCompiled(compiledFile(this.#folder, file), source);
    const script = new vm.Script(source, { filename: file, cachedData });
    this.counts[cachedData === undefined || script.cachedDataRejected ? "fresh" : "ready"] += 1;
    return script;
  }
}

/** Compiles all modules of a bundle for this node, all of their functions. */
function compile(folder) {
  const v8 = require("node:v8");
  fs.rmSync(compiledFolder(folder), { recursive: true, force: true });
  for (const name of fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".js"))) {
    const file = path.join(folder, name);
    const source = wrapped(file);
    // The flag is part of what V8 compares: it is as it was again before the code is taken.
    v8.setFlagsFromString("--no-lazy");
    const script = new vm.Script(source, { filename: file });
    v8.setFlagsFromString("--lazy");
    const code = script.createCachedData();
    const header = Buffer.alloc(headerSize);
    header.writeUInt32LE(crc32(source), 0);
    header.writeUInt32LE(crc32(code), 4);
    const made = compiledFile(folder, file);
    fs.mkdirSync(path.dirname(made), { recursive: true });
    fs.writeFileSync(made, Buffer.concat([header, code]));
  }
}

/** The source as V8 gets it. */
function wrapped(file) {
  return `(function (exports, require, module, importMeta) {${fs.readFileSync(file, "utf8")}\n})`;
}

function compiledFolder(folder) {
  return path.join(folder, "compiled", `${process.version}-${process.arch}`);
}

function compiledFile(folder, file) {
  return path.join(compiledFolder(folder), `${path.relative(folder, file)}.bin`);
}

/** @returns undefined where there is none that is whole and of this source */
function readCompiled(file, source) {
  let bytes;
  try {
    bytes = fs.readFileSync(file);
  } catch {
    return undefined; // not made, or not to be read: the source does
  }
  if (bytes.length <= headerSize) return undefined;
  const code = bytes.subarray(headerSize);
  return bytes.readUInt32LE(0) === crc32(source) && bytes.readUInt32LE(4) === crc32(code) ? code : undefined;
}

module.exports = { Modules, compile };
