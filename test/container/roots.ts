/** Roots for containers under test: a folder with a static busybox, changed by the test. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";

const busybox = "/bin/busybox";

const applets =
  "sh cat ls echo stat id mount umount touch rm ln true chmod mkdir mkfifo mknod readlink head ps sleep wc";

/** A root folder with nothing but busybox; undefined, with the reason logged, where the machine has none. */
export function busyboxRoot(t: ExecutionContext, change: (root: string) => void = () => undefined): string | undefined {
  if (!existsSync(busybox)) {
    t.log("SKIP there is no /bin/busybox: apt-get install busybox-static");
    t.pass();
    return undefined;
  }
  const root = mkdtempSync(join(tmpdir(), "yapc-root-"));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "bin"));
  copyFileSync(busybox, join(root, "bin/busybox"));
  for (const name of applets.split(" ")) symlinkSync("busybox", join(root, "bin", name));
  change(root);
  return root;
}

/** A folder beside the root, that nothing inside may reach. */
export function outsideFolder(t: ExecutionContext): string {
  const outside = mkdtempSync(join(tmpdir(), "yapc-outside-"));
  t.teardown(() => rmSync(outside, { recursive: true, force: true }));
  return outside;
}
