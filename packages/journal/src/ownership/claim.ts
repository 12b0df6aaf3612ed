import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { sleep } from '@holdfast/foundation';
import { isErrno } from '../errors.ts';
import { epochOfSpare } from '../segments/segment-allocator.ts';
import {
  type Incumbent,
  findIncumbent,
  listOwners,
  ownerPath,
  writeComplete,
} from './incumbent.ts';
import { lockedBy } from './owner-errors.ts';
import {
  type OwnerRecord,
  describeSelf,
  forgetGivenUp,
  giveUp,
  ownerLiveness,
} from './owner-record.ts';
import { HeldOwnership, type Ownership, type OwnershipOptions } from './ownership.ts';
import { type WatchedOwner, forgetOwner, watchOwner } from './watched-owners.ts';

const WATCH_MS = 250;
/** The promise of owners whose record states none. */
const FORMER_STALE_MS = 15_000;

/** Whether the incumbent still runs, and how long its heartbeat proves that. */
interface Liveness {
  readonly kind: 'alive' | 'dead' | 'unknown';
  readonly restMs: number;
}

/**
 * Takes a directory whose owner is dead. The file `owner.<epoch>` appears complete and only once (by `link`);
 * a process that finds a higher epoch after creating its own withdraws, which closes the gap between checking
 * and creating.
 * @throws JournalLockedError
 */
export async function takeOwnership(options: OwnershipOptions): Promise<Ownership> {
  const { clock, ownerStaleMs } = options;
  const self = await describeSelf(randomUUID(), clock.epochMs(), ownerStaleMs);
  return new Claim(options, self).take();
}

class Claim {
  readonly #options: OwnershipOptions;
  readonly #self: OwnerRecord;
  readonly #path: string;
  /** The incumbent whose heartbeat is being watched. */
  #watched: WatchedOwner | undefined;

  /** An owner's file was or may be made. */
  #isLinked = false;

  constructor(options: OwnershipOptions, self: OwnerRecord) {
    this.#options = options;
    this.#self = self;
    this.#path = join(options.directory, `owner.claim-${self.token}`);
  }

  async take(): Promise<Ownership> {
    const { files, directory, clock, acquireTimeoutMs, signal } = this.#options;
    const deadlineMs = clock.now() + acquireTimeoutMs;
    try {
      while (true) {
        signal?.throwIfAborted();
        const incumbent = await findIncumbent(files, directory);
        if (incumbent !== undefined) await this.#removeStaleSegments(incumbent);
        await writeComplete(files, this.#path, this.#self);
        if (incumbent !== undefined && !(await this.#isDead(incumbent, deadlineMs))) continue;
        this.#watched = undefined;
        const epoch = await this.#create((incumbent?.epoch ?? 0) + 1);
        if (epoch === undefined) continue;
        forgetOwner(clock, directory);
        if (incumbent?.record !== undefined) forgetGivenUp(incumbent.record.token);
        return await HeldOwnership.open(this.#options, this.#self, epoch);
      }
    } catch (error) {
      // The owner's file may have been made all the same, or be made late.
      if (this.#isLinked) giveUp(this.#self.token);
      throw error;
    } finally {
      await Promise.allSettled([files.remove(this.#path)]);
    }
  }

  /**
   * Whether the incumbent is dead; `false` after a moment of watching, when it may still turn out so.
   * @throws JournalLockedError when it is alive
   */
  async #isDead(incumbent: Incumbent, deadlineMs: number): Promise<boolean> {
    const { directory, clock, signal } = this.#options;
    const { kind, restMs } = await this.#liveness(incumbent);
    if (kind === 'dead') return true;
    const watched = this.#watched;
    const hasBeaten = watched !== undefined && watched.modifiedMs !== incumbent.modifiedMs;
    const pauseMs = Math.min(restMs, WATCH_MS);
    if (kind === 'alive' || hasBeaten || clock.now() + pauseMs > deadlineMs) {
      throw lockedBy(directory, incumbent.record, this.#self, restMs);
    }
    this.#watched ??= watchOwner(clock, directory, incumbent);
    await sleep(clock, pauseMs, signal);
    return false;
  }

  /**
   * A silent owner is dead once its file has not changed for `staleMs`: by the clock that stamps the directory's
   * files, which may be another machine's and may step, if it was also watched for half of that; by the monotonic
   * clock of this process otherwise. Without watching, the file's time has to do.
   */
  async #liveness(incumbent: Incumbent): Promise<Liveness> {
    const { files, clock, ownerStaleMs, acquireTimeoutMs } = this.#options;
    const { record } = incumbent;
    const kind = record === undefined ? 'unknown' : await ownerLiveness(record, this.#self);
    if (kind !== 'unknown') return { kind, restMs: ownerStaleMs };
    const staleMs = record?.staleMs ?? Math.max(ownerStaleMs, FORMER_STALE_MS);
    const claim = await files.status(this.#path);
    const restOfFileMs = incumbent.modifiedMs + staleMs - (claim?.modifiedMs ?? 0);
    const watchedMs = this.#watched === undefined ? 0 : clock.now() - this.#watched.sinceMs;
    const leastMs = acquireTimeoutMs === 0 ? 0 : staleMs / 2;
    const restMs = Math.min(staleMs - watchedMs, Math.max(restOfFileMs, leastMs - watchedMs));
    return restMs <= 0 ? { kind: 'dead', restMs: 0 } : { kind, restMs: Math.max(1, restMs) };
  }

  /** Creates the owner's file; `undefined` when another process was faster. */
  async #create(epoch: number): Promise<number | undefined> {
    const { files, directory } = this.#options;
    const path = ownerPath(directory, epoch);
    this.#isLinked = true;
    try {
      await files.link(this.#path, path);
    } catch (error) {
      if (isErrno(error, ['EEXIST', 'ENOENT'])) return undefined;
      throw error;
    }
    const [highest, ...lower] = await listOwners(files, directory);
    if (highest !== epoch) {
      await files.remove(path);
      return undefined;
    }
    await files.syncDirectory(directory);
    for (const old of lower) await files.remove(ownerPath(directory, old));
    return epoch;
  }

  /** On a full disk, megabytes of prepared zeros must not keep the next owner out. */
  async #removeStaleSegments({ record, epoch }: Incumbent): Promise<void> {
    if (record === undefined || (await ownerLiveness(record, this.#self)) !== 'dead') return;
    const { files, directory } = this.#options;
    for (const name of await files.list(directory)) {
      const spareEpoch = epochOfSpare(name);
      if (spareEpoch !== undefined && spareEpoch <= epoch)
        await files.remove(join(directory, name));
    }
  }
}
