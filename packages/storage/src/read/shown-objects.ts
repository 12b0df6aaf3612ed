import { type Clock, abortable, settlesWithin } from '@holdfast/foundation';
import type { ListedObject, ObjectHead, ObjectPage } from '../backend.ts';
import type { WriterLives } from '../journal/lives.ts';
import { compareKeys } from '../object/key.ts';
import type { CopyHead, LocalCopies, LocalCopy } from './local-copies.ts';
import type { ReadEpoch, ReadEpochs, ShownObject } from './stale-reads.ts';

interface ShownObjectsDeps {
  readonly local: LocalCopies | undefined;
  readonly epochs: ReadEpochs;
  readonly clock: Clock;
  /** Tells our own operations from those of others. */
  readonly lives: Pick<WriterLives, 'isOwn'>;
  /** The name of the first backend, whose objects are copied. */
  readonly primary: string;
  /** Whether the primary lacks our newest write of the key. */
  readonly isPending: (key: string) => boolean;
}

/** The keys that a page of a listing covers: its prefix, after one key, up to another. */
interface ListedRange {
  readonly prefix: string;
  readonly after: string | undefined;
  readonly until: string | undefined;
}

/** A frozen disk holds up no read for longer. */
const REMOVED_WITHIN_MS = 1_000;

/**
 * Follows what reads, listings and writes show of the objects at the backends, so that no local copy goes back
 * behind it: a copy that is behind, or may be, is removed before the caller learns of what is newer.
 */
export class ShownObjects {
  readonly #deps: ShownObjectsDeps;

  constructor(deps: ShownObjectsDeps) {
    this.#deps = deps;
  }

  /** A read that begins now. */
  begin(key: string): ReadEpoch {
    return this.#deps.epochs.begin(key);
  }

  /** The order of the copies when a listing begins. */
  get order(): number {
    return this.#deps.local?.order ?? 0;
  }

  /**
   * A read showed an object; without a head it showed that there is none. Resolves when no older copy can come back.
   * @param copied the verified bytes, to be kept as the local copy.
   */
  async read(
    epoch: ReadEpoch,
    backend: string,
    head: ObjectHead | undefined,
    signal: AbortSignal,
    copied?: { readonly head: CopyHead; readonly bytes: Uint8Array },
  ): Promise<void> {
    const { local, epochs, primary, isPending, lives } = this.#deps;
    const { key, overtakenBy } = epoch;
    if (local === undefined) return;
    const shown = shownBy(backend, head);
    if (epoch.signal.aborted) {
      // Of a write of ours and another writer's it is not known which is later.
      const isOlder = isPending(key) || lives.isOwn(head?.stamp);
      if (!isOlder) await this.#remove(local, shown, key, signal);
      return;
    }
    const order = overtakenBy === undefined ? 'later' : orderOf(shown, overtakenBy);
    if (order === 'earlier') return;
    if (order === 'unknown') {
      await this.#remove(local, shown, key, signal);
      return;
    }
    epochs.overtake(key, shown);
    await this.#wait(
      local.forgetIf(key, (copy) => !isCopyOf(copy, shown)),
      signal,
    );
    if (epoch.signal.aborted) return;
    if (local.get(key) !== undefined) local.touch(key);
    else if (copied !== undefined && backend === primary)
      void local.replace(copied.head, copied.bytes);
  }

  /**
   * A listing of the primary showed these objects.
   * @param range.since the order of the copies when it began.
   * @param range.provesAbsence whether there is no other object in its range.
   */
  async listed(
    page: ObjectPage,
    range: Omit<ListedRange, 'until'> & { since: number; provesAbsence: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const { local, epochs, isPending, primary } = this.#deps;
    if (local === undefined) return;
    const until = page.cursor === undefined ? undefined : page.objects.at(-1)?.key;
    if (page.cursor !== undefined && until === undefined) return;
    const listed = new Map(page.objects.map((object) => [object.key, object]));
    const covered = { ...range, until };
    const isShown = (key: string): boolean =>
      listed.has(key) || (range.provesAbsence && isCovered(key, covered));
    const behind = [...local.all()].filter(
      (copy) =>
        isShown(copy.key) &&
        !isPending(copy.key) &&
        isBehind(copy, listed.get(copy.key), range.since),
    );
    for (const key of epochs.keys) {
      if (!isShown(key)) continue;
      epochs.overtake(key, { backend: primary, object: listed.get(key) });
    }
    const removals = behind.map(({ key, order }) =>
      local.forgetIf(key, (copy) => copy.order === order),
    );
    await this.#wait(Promise.all(removals), signal);
  }

  /** A write of ours found another writer's object in its place, or none. */
  async superseded(key: string, backend: string): Promise<void> {
    const { local } = this.#deps;
    if (local === undefined) return;
    await this.#remove(local, { backend, object: {} }, key, new AbortController().signal);
  }

  async #remove(
    local: LocalCopies,
    shown: ShownObject,
    key: string,
    signal: AbortSignal,
  ): Promise<void> {
    this.#deps.epochs.overtake(key, shown);
    await this.#wait(
      local.forgetIf(key, (copy) => !isCopyOf(copy, shown)),
      signal,
    );
  }

  /** @throws the signal's own reason */
  async #wait(removal: Promise<unknown>, signal: AbortSignal): Promise<void> {
    await abortable(settlesWithin(this.#deps.clock, REMOVED_WITHIN_MS, removal), signal);
  }
}

function shownBy(backend: string, head: ObjectHead | undefined): ShownObject {
  if (head === undefined) return { backend, object: undefined };
  const { size, lastModifiedEpochMs, stamp } = head;
  return {
    backend,
    object: {
      size,
      ...(lastModifiedEpochMs !== undefined && { lastModifiedEpochMs }),
      ...stamp,
    },
  };
}

function isCopyOf(copy: LocalCopy, { object }: ShownObject): boolean {
  return object?.sha256 === copy.sha256;
}

/** Whether a listing that began after `since` shows that a copy is not of the latest object. */
function isBehind(copy: LocalCopy, listed: ListedObject | undefined, since: number): boolean {
  const modifiedMs = listed?.lastModifiedEpochMs;
  if (modifiedMs !== undefined && isAfter(modifiedMs, copy.modifiedUntilEpochMs)) return true;
  // Of a copy made since, the listing may be the older one.
  if (copy.order > since) return false;
  return listed === undefined || (listed.size !== undefined && listed.size !== copy.size);
}

/** Some servers state whole seconds in one response and milliseconds in another. */
function isAfter(modifiedMs: number, knownMs: number): boolean {
  const resolutionMs = knownMs % 1_000 === 0 ? 1_000 : 1;
  return Math.floor(modifiedMs / resolutionMs) * resolutionMs > knownMs;
}

function isCovered(key: string, { prefix, after, until }: ListedRange): boolean {
  return (
    key.startsWith(prefix) &&
    (after === undefined || compareKeys(key, after) > 0) &&
    (until === undefined || compareKeys(key, until) <= 0)
  );
}

/** Whether an object shown by one read is later than what another read showed while the first was in progress. */
function orderOf(shown: ShownObject, other: ShownObject): 'earlier' | 'later' | 'unknown' {
  const [one, two] = [shown.object, other.object];
  if (one === undefined && two === undefined) return 'later';
  if (one === undefined || two === undefined) return 'unknown';
  if (one.operationId !== undefined && two.operationId !== undefined) {
    if (one.operationId === two.operationId) return 'later';
    if (writerOf(one.operationId) === writerOf(two.operationId)) {
      return (one.generation ?? 0) > (two.generation ?? 0) ? 'later' : 'earlier';
    }
  }
  const [oneMs, twoMs] = [one.lastModifiedEpochMs, two.lastModifiedEpochMs];
  const isComparable =
    shown.backend === other.backend && oneMs !== undefined && twoMs !== undefined;
  if (!isComparable || oneMs === twoMs) return 'unknown';
  return oneMs > twoMs ? 'later' : 'earlier';
}

/** Operation ids end with the number of the write. */
function writerOf(operationId: string): string {
  return operationId.slice(0, operationId.lastIndexOf('-'));
}
