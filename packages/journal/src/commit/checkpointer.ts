import type { Clock, Timer } from '@holdfast/foundation';
import type { Checkpoint, CheckpointFile } from './checkpoint.ts';

/** Keeps the checkpoint on the disk not far behind the one in memory. */
export interface Checkpointer {
  /** Something changed: it is written within `checkpointMs`. */
  touch(): void;
  /** Writes now; rejects when the disk does, or the directory is no longer ours. */
  flush(): Promise<void>;
  /** Nothing more is written. */
  close(): Promise<void>;
}

/**
 * @param options.confirm rejects when the directory is another's, whose checkpoint must not be overwritten.
 * @param options.kept called with each checkpoint that became durable.
 * @param options.failed called when one did not; whether to try again.
 */
export function createCheckpointer(options: {
  file: CheckpointFile;
  clock: Clock;
  checkpointMs: number;
  confirm: () => Promise<void> | undefined;
  current: () => Checkpoint;
  kept: (checkpoint: Checkpoint) => Promise<void>;
  failed: (cause: unknown) => boolean;
}): Checkpointer {
  const { file, clock, checkpointMs, confirm, current, kept, failed } = options;
  let timer: Timer | undefined;
  let writing: Promise<void> = Promise.resolve();
  let last: Checkpoint | undefined;
  let closed = false;

  const write = async (): Promise<void> => {
    await confirm();
    const checkpoint = current();
    if (last?.released === checkpoint.released && last.next === checkpoint.next) return;
    await file.write(checkpoint);
    last = checkpoint;
    await kept(checkpoint);
  };

  const flush = (): Promise<void> => {
    const turn = writing.then(write);
    writing = turn.catch(() => undefined);
    return turn;
  };

  const touch = (): void => {
    if (closed || timer !== undefined) return;
    timer = clock.schedule(
      checkpointMs,
      () => {
        timer = undefined;
        flush().catch((cause: unknown) => {
          if (failed(cause)) touch();
        });
      },
      { holdsProcess: false },
    );
  };

  return {
    touch,
    flush,
    async close() {
      closed = true;
      timer?.cancel();
      await writing;
      await file.close();
    },
  };
}
