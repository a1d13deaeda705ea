import { Failure } from "../model/failure.js";

/** A capture that cannot be read (further). Everything before `offset` was delivered. */
export class CaptureError extends Failure {
  /** Bytes from the start of the capture. */
  readonly offset: number;

  constructor(code: string, message: string, offset: number, hint?: string) {
    super("usage", `${message} (at byte ${offset})`, hint === undefined ? { code } : { code, hint });
    this.offset = offset;
  }
}
