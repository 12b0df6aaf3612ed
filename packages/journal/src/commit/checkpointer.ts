import type { Clock, Timer } from '@holdfast/foundation';
import type { Checkpoint, CheckpointFile } from './checkpoint.ts';

interface CheckpointerDeps {
  readonly file: CheckpointFile;
  readonly clock: Clock;
  readonly checkpointMs: number;
  /** Rejects when another process owns the directory; its checkpoint must not be overwritten. */
  readonly confirm: () => Promise<void> | undefined;
  readonly current: () => Checkpoint;
  /** Called with each checkpoint that became durable. */
  readonly onDurable: (checkpoint: Checkpoint) => Promise<void>;
  /** Called when a scheduled write failed; returns whether to try again. */
  readonly onFailed: (cause: unknown) => boolean;
}

/** Keeps the checkpoint on the disk at most `checkpointMs` behind the one in memory. */
export class Checkpointer {
  readonly #deps: CheckpointerDeps;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #last: Checkpoint | undefined;
  #closed = false;

  constructor(deps: CheckpointerDeps) {
    this.#deps = deps;
  }

  /** The checkpoint has changed: writes it within `checkpointMs`. */
  schedule(): void {
    if (this.#closed || this.#timer !== undefined) return;
    const { clock, checkpointMs } = this.#deps;
    const run = (): void => {
      this.#timer = undefined;
      this.flush().catch((cause: unknown) => {
        if (this.#deps.onFailed(cause)) this.schedule();
      });
    };
    this.#timer = clock.schedule(checkpointMs, run, { holdsProcess: false });
  }

  /** Writes now; rejects when the write fails or another process owns the directory. */
  flush(): Promise<void> {
    const write = this.#writing.then(() => this.#write());
    this.#writing = write.catch(() => undefined);
    return write;
  }

  /** Writes nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#writing;
    await this.#deps.file.close();
  }

  async #write(): Promise<void> {
    const { file, confirm, current, onDurable } = this.#deps;
    await confirm();
    const checkpoint = current();
    if (this.#last?.released === checkpoint.released && this.#last.next === checkpoint.next) return;
    await file.write(checkpoint);
    this.#last = checkpoint;
    await onDurable(checkpoint);
  }
}
