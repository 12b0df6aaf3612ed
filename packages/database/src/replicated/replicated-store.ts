import { type Subscribe, createEmitter } from '@holdfast/foundation';
import {
  DataUnavailableError,
  QuorumUnavailableError,
  ReplicatedStoreClosedError,
  WriteUnknownError,
} from './errors.ts';
import { decode, encode, keyOf } from './json-value.ts';
import { type Limit, limitOf } from './limit.ts';
import type { RegionStats } from './region-order.ts';
import { RegionTeam } from './quorum-client.ts';
import { type Register, mayHaveKept } from './register-table.ts';
import { type ReplicatedStoreOptions, readReplicatedOptions } from './replicated-options.ts';
import type { RoundResult } from './quorum-round.ts';
import { type Version, compareVersions } from './version.ts';

export interface ReplicatedCallOptions {
  /** Ends the call with the signal's own reason. */
  signal?: AbortSignal | undefined;
}

export interface WriteResult {
  readonly version: Version;
  /** The regions that had confirmed when enough had. */
  readonly regions: readonly string[];
}

export interface ReadResult {
  readonly value: unknown;
  readonly version: Version;
}

export interface NearestReadResult extends ReadResult {
  readonly region: string;
}

export interface ReplicatedStoreEvents {
  /** Regions were given a register that they lacked. */
  repaired: { key: string; regions: readonly string[]; atMs: number };
}

export interface ReplicatedStoreStats {
  readonly writes: number;
  /** Writes that too few regions have confirmed, and some may have. */
  readonly unknownWrites: number;
  readonly reads: number;
  /** Reads that had to write back what they found before they could return it. */
  readonly writeBacks: number;
  /** Regions asked because nearer ones were slow. */
  readonly hedges: number;
  /** Writes some regions of which are still under way. */
  readonly trailing: number;
  /** The nearest first. */
  readonly regions: readonly RegionStats[];
}

/**
 * Values by key over regions that know nothing of each other: each is an independent Postgres, and a
 * minority of them may be away. There is no SQL here on purpose: independent primaries agree on a register,
 * not on statements.
 *
 * `write` and `read` are linearizable for each key: whatever was written before a read began, or read by
 * one that has ended, is seen by it. Algorithm: multi-writer atomic register (Attiya, Bar-Noy, Dolev 1995;
 * Lynch, Shvartsman 1997): a write asks a read quorum for versions and goes on with a higher one; a read
 * that finds the newest version at too few regions writes it back before it returns it. So a write takes two
 * round trips to a quorum, a read one, or two where it writes back.
 */
export interface ReplicatedStore {
  /**
   * Resolves once a write quorum has it on disk; the other regions get it meanwhile and afterwards.
   * @param value anything JSON can say; `null` for none.
   * @throws InvalidOptionError, QuorumUnavailableError (not applied), WriteUnknownError (unknown),
   *   ReplicatedStoreClosedError, or the signal's own reason.
   */
  write(key: string, value: unknown, options?: ReplicatedCallOptions): Promise<WriteResult>;
  /**
   * The latest value; `undefined` for a key never written.
   * @throws InvalidOptionError, QuorumUnavailableError, ReplicatedStoreClosedError, or the signal's own reason.
   */
  read(key: string, options?: ReplicatedCallOptions): Promise<ReadResult | undefined>;
  /**
   * What the nearest region that answers holds, which may be old; it asks the next one when one fails or is
   * slow. Serves while a single region stands.
   * @throws InvalidOptionError, DataUnavailableError, ReplicatedStoreClosedError, or the signal's own reason.
   */
  readWithFailover(
    key: string,
    options?: ReplicatedCallOptions,
  ): Promise<NearestReadResult | undefined>;
  readonly on: Subscribe<ReplicatedStoreEvents>;
  getStats(): ReplicatedStoreStats;
  /** Resolves when no region is under way behind a write or read that has returned. */
  settled(): Promise<void>;
  /** Ends what is under way with ReplicatedStoreClosedError. The databases are their owner's. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @throws InvalidOptionError, also when a read could miss a write (`writeQuorum + readQuorum` too small). */
export function createReplicatedStore(options: ReplicatedStoreOptions): ReplicatedStore {
  const settled = readReplicatedOptions(options);
  const { clock, readQuorum, writeQuorum, writer, timeoutMs } = settled;
  const team = new RegionTeam(settled);
  const announcer = createEmitter<ReplicatedStoreEvents>('holdfast:replicated-store');
  const closing = new AbortController();
  const trailing = new Set<Promise<void>>();
  const counts = { writes: 0, unknownWrites: 0, reads: 0, writeBacks: 0 };
  /** So many hold a version that every read quorum meets one of them. */
  const metByReads = team.size - readQuorum + 1;
  let lastCounter = 0;

  /** What ended the call from outside, if anything has. */
  const throwIfEnded = (
    signal: AbortSignal | undefined,
    outcome: 'not-applied' | 'unknown' = 'not-applied',
  ): void => {
    if (closing.signal.aborted) throw new ReplicatedStoreClosedError(outcome);
    signal?.throwIfAborted();
  };

  /** Runs a call within its limit, which stays until the last region it has asked is done. */
  const within = async <T>(
    signal: AbortSignal | undefined,
    work: (limit: Limit, trail: (round: RoundResult<unknown>) => void) => Promise<T>,
  ): Promise<T> => {
    throwIfEnded(signal);
    const limit = limitOf(clock, timeoutMs, closing.signal, signal);
    const rests: Promise<void>[] = [];
    try {
      return await work(limit, ({ rest }) => {
        if (rest !== undefined) rests.push(rest);
      });
    } finally {
      if (rests.length === 0) limit.dispose();
      else {
        const rest: Promise<void> = Promise.all(rests).then(() => {
          limit.dispose();
          trailing.delete(rest);
        });
        trailing.add(rest);
      }
    }
  };

  const mayTrail = (): boolean => trailing.size < settled.maxTrailing;

  const nextVersion = (known: Iterable<Version | undefined>): Version => {
    for (const version of known) lastCounter = Math.max(lastCounter, version?.counter ?? 0);
    lastCounter += 1;
    return { counter: lastCounter, writer };
  };

  /** Gives what was read to those that lack it; resolves when every later read meets it. */
  const writeBack = async (
    key: string,
    newest: Register,
    round: RoundResult<Register | undefined>,
    limit: Limit,
    signal: AbortSignal | undefined,
  ): Promise<RoundResult<undefined> | undefined> => {
    const holds = (region: string): boolean => {
      const version = round.answers.get(region)?.version;
      return version !== undefined && compareVersions(version, newest.version) === 0;
    };
    const asked = round.outcomes.map(({ region }) => region);
    const holders = asked.filter(holds);
    const wanted = metByReads - holders.length;
    const stale = [...round.answers.keys()].filter((region) => !holds(region));
    const regions = wanted > 0 ? asked.filter((region) => !holds(region)) : stale;
    if (regions.length === 0) return undefined;
    if (wanted > 0) counts.writeBacks += 1;
    const call = { regions, wanted, limit, trails: mayTrail() };
    const kept = await team.keep(key, newest, call);
    if (!kept.isEnough) {
      throwIfEnded(signal);
      throw new QuorumUnavailableError('read', key, metByReads, kept.outcomes);
    }
    announcer.emit('repaired', { key, regions, atMs: clock.now() });
    return kept;
  };

  const close = async (): Promise<void> => {
    closing.abort(new ReplicatedStoreClosedError('unknown'));
    await Promise.all(trailing);
  };

  return {
    async write(key, value, { signal } = {}) {
      keyOf('write', key);
      const text = encode('write', value, settled.maxValueBytes);
      return within(signal, async (limit, trail) => {
        const known = await team.versions(key, limit);
        if (!known.isEnough) {
          throwIfEnded(signal);
          throw new QuorumUnavailableError('write', key, readQuorum, known.outcomes);
        }
        const version = nextVersion(known.answers.values());
        const regions = team.order.nearestFirst();
        const call = { regions, wanted: writeQuorum, limit, trails: mayTrail() };
        const kept = await team.keep(key, { version, text }, call);
        trail(kept);
        if (kept.isEnough) {
          counts.writes += 1;
          return { version, regions: [...kept.answers.keys()] };
        }
        throwIfEnded(signal, 'unknown');
        const isRuledOut = kept.outcomes.every(
          ({ answered, error }) => answered === 'failed' && !mayHaveKept(error),
        );
        if (isRuledOut) throw new QuorumUnavailableError('write', key, writeQuorum, kept.outcomes);
        counts.unknownWrites += 1;
        throw new WriteUnknownError(key, writeQuorum, kept.outcomes);
      });
    },

    async read(key, { signal } = {}) {
      keyOf('read', key);
      return within(signal, async (limit, trail) => {
        const round = await team.registers(key, readQuorum, limit);
        if (!round.isEnough) {
          throwIfEnded(signal);
          throw new QuorumUnavailableError('read', key, readQuorum, round.outcomes);
        }
        counts.reads += 1;
        const newest = newestOf(round.answers.values());
        if (newest === undefined) return undefined;
        const kept = await writeBack(key, newest, round, limit, signal);
        if (kept !== undefined) trail(kept);
        return { value: decode(key, newest), version: newest.version };
      });
    },

    async readWithFailover(key, { signal } = {}) {
      keyOf('readWithFailover', key);
      return within(signal, async (limit) => {
        const round = await team.registers(key, 1, limit);
        const [nearest] = round.answers;
        if (nearest === undefined) {
          throwIfEnded(signal);
          throw new DataUnavailableError(key, round.outcomes);
        }
        const [region, register] = nearest;
        if (register === undefined) return undefined;
        return { value: decode(key, register), version: register.version, region };
      });
    },

    on: announcer.on,
    getStats: () => ({
      ...counts,
      hedges: team.hedges,
      trailing: trailing.size,
      regions: team.order.standings(),
    }),
    async settled() {
      while (trailing.size > 0) await Promise.all(trailing);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function newestOf(registers: Iterable<Register | undefined>): Register | undefined {
  let newest: Register | undefined;
  for (const register of registers) {
    if (register === undefined) continue;
    if (newest === undefined || compareVersions(register.version, newest.version) > 0) {
      newest = register;
    }
  }
  return newest;
}
