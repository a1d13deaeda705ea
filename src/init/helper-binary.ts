/**
 * The helper as a sealed memfd: what runs is what was read, it needs no execute permission of a folder, and nobody who
 * gets at it through /proc/PID/exe can overwrite it (CVE-2019-5736).
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Failure } from "../model/failure.js";
import { SystemCallError } from "../kernel/system-error.js";
import { close, constants, fcntl, memfdCreate, write } from "../kernel/syscalls.js";

/** Where the build leaves it: beside `src/` when run from the sources, beside `dist/` when built. */
const places = ["../../helper/build/yapc-init", "../../../helper/build/yapc-init"];

function findHelper(): string {
  const found = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new Failure("machine", "cannot find yapc-init, the helper that holds the lab's namespaces", {
    code: "NO_HELPER",
    hint: "build it with helper/build.sh (it needs a C compiler)",
  });
}

let sealed: number | undefined;

/** A descriptor of the sealed program, made once for this process; run it as /proc/self/fd/N. */
export function helperProgram(): number {
  sealed ??= sealedCopy("yapc-init", readFileSync(findHelper()));
  return sealed;
}

/** A sealed memfd of some bytes; the caller closes it. */
export function sealedCopy(name: string, bytes: Uint8Array): number {
  const fd = memfd(name);
  try {
    for (let at = 0; at < bytes.length;) at += write(fd, bytes.subarray(at)) ?? 0;
    const { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE } = constants;
    fcntl(fd, constants.F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Since 6.3 a memfd that is run says so (MFD_EXEC); older kernels do not know the flag. */
function memfd(name: string): number {
  try {
    return memfdCreate(name, constants.MFD_EXEC);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "EINVAL") return memfdCreate(name);
    throw error;
  }
}
