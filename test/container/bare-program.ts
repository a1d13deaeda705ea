import type { ContainerProgram } from "../../src/container/program.js";

/** A program of a container that asks for nothing: tests say what theirs has besides. */
export const bareProgram: ContainerProgram = {
  command: ["true"],
  environment: [],
  workingDirectory: "/",
  user: { uid: 0, gid: 0, groups: [] },
  capabilities: 0n,
  filter: new Uint8Array(),
  limits: [],
  cgroupCount: 0,
  countsOom: false,
  operations: [],
};
