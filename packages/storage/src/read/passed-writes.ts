import { type Clock, abortable, settlesWithin } from '@holdfast/foundation';
import type { BackendResult, ObjectHead } from '../backend.ts';
import {
  type ConflictPolicyOption,
  type RemoteObject,
  conflictOf,
  resolutionOf,
} from '../conflicts.ts';
import type { WriterLives } from '../journal/lives.ts';
import type { BackendWriter } from '../replication/backend-writer.ts';
import { type KeyWrites, replicaOf } from '../replication/key-replica.ts';
import type { RemovalMarks } from '../replication/removal-marks.ts';

interface PassedWritesDeps {
  readonly clock: Clock;
  readonly conflicts: ConflictPolicyOption;
  readonly lives: WriterLives;
  readonly marks: RemovalMarks;
}

type Head = (key: string) => Promise<BackendResult<ObjectHead>>;

/** A backend that does not answer holds up no read of what waits for longer. */
const ASKED_WITHIN_MS = 1_000;

/**
 * Tells the writes of earlier lives that wait here and are no longer the latest: this directory may be a copy, and
 * others wrote since. A read shows what the conflict will be decided to.
 */
export class PassedWrites {
  readonly #deps: PassedWritesDeps;

  constructor(deps: PassedWritesDeps) {
    this.#deps = deps;
  }

  /**
   * Whether the backend has a later object than the newest write of the key, or none, because it was removed since.
   * `false` where it does not answer.
   * @throws the signal's own reason
   */
  async isPassed(
    writes: KeyWrites,
    writer: BackendWriter,
    head: Head,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, conflicts, lives } = this.#deps;
    // The caller's own function is asked when the write is delivered.
    const isUnknown = typeof conflicts === 'string' && !lives.isOfThisLife(writes.newest);
    if (!isUnknown || writer.state !== 'up') return false;
    let isPassed = false;
    const asking = this.#ask(writes, writer, head, signal).then((answer) => (isPassed = answer));
    await abortable(settlesWithin(clock, ASKED_WITHIN_MS, asking), signal);
    return isPassed;
  }

  async #ask(
    writes: KeyWrites,
    writer: BackendWriter,
    head: Head,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, conflicts, lives, marks } = this.#deps;
    const { newest, key } = writes;
    const found = await head(key);
    let remote: RemoteObject;
    if (found.kind === 'ok') remote = { head: found.value };
    else if (found.kind === 'notFound' && found.code !== 'NoSuchBucket') {
      const passed = await marks.isPassed(writer.backend, newest, signal);
      remote = { head: undefined, isRemovedElsewhere: passed.kind === 'known' && passed.isPassed };
    } else return false;
    const conflict = conflictOf(newest, remote, {
      backend: writer.backend.name,
      ageMs: clock.now() - replicaOf(writes, writer).acceptedAtMs,
      epochMs: clock.epochMs(),
      lives,
    });
    if (conflict === undefined) return false;
    const resolution = await resolutionOf(conflicts, conflict);
    return resolution === 'theirs' || resolution === 'keep-both';
  }
}
