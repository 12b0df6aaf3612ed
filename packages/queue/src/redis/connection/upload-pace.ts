/** The pace that is assumed at first, and the slowest; in bytes per millisecond. */
const FIRST = 512;
const SLOWEST = 2;
/** Fewer bytes tell nothing about the pace. */
const TELLING_BYTES = 16_384;
const MAX_ALLOWANCE_MS = 600_000;

/**
 * How long the bytes of a command may take on their way to the server. Nothing is heard meanwhile: buffers of the
 * system and of the network take them at once, and the server answers when it has the last one. The pace is
 * learned: a large command without an answer makes it slower, and an answer tells how long it took.
 */
export class UploadPace {
  #bytesPerMs = FIRST;

  /** The time allowed for these bytes, in milliseconds, besides the deadline of the command. */
  allowanceMs(bytes: number): number {
    return Math.min(MAX_ALLOWANCE_MS, Math.ceil(bytes / this.#bytesPerMs));
  }

  /** A command was answered with this many bytes on their way before and with it. */
  answered(bytes: number, tookMs: number): void {
    if (bytes < TELLING_BYTES) return;
    // Half of what was seen: the link is shared. One answer alone may be late for another reason.
    const seen = Math.max(bytes / Math.max(1, tookMs) / 2, this.#bytesPerMs / 4);
    this.#bytesPerMs = Math.min(FIRST, Math.max(SLOWEST, seen));
  }

  /** A command was not answered in time. */
  timedOut(bytes: number): void {
    if (bytes >= TELLING_BYTES) this.#bytesPerMs = Math.max(SLOWEST, this.#bytesPerMs / 4);
  }
}
