import {
  CallDeadline,
  type EventKinds,
  type Subscribe,
  createEmitter,
  parseOptions,
} from '@holdfast/foundation';
import {
  DataUnavailableError,
  QuorumUnavailableError,
  ReplicatedStoreClosedError,
  WriteUnknownError,
} from './errors.ts';
import { checkKey, decode, encode } from './json-value.ts';
import { signalRule } from '../calls/call-deadline.ts';
import { type QuorumCall, QuorumClient } from './quorum-client.ts';
import type { RoundResult } from './quorum-round.ts';
import type { RegionStats } from './region-order.ts';
import { type Register, mayHaveWritten } from './register-table.ts';
import {
  type ReplicatedStoreOptions,
  type ResolvedReplicatedOptions,
  parseReplicatedOptions,
} from './replicated-options.ts';
import { type Version, compareVersions } from './version.ts';

/** Options that every call has. */
export interface ReplicatedCallOptions {
  /** Rejects the call with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** A write that a quorum has confirmed. */
export interface WriteResult {
  readonly version: Version;
  /** The regions that had confirmed when the quorum was reached. */
  readonly regions: readonly string[];
}

/** A value that a quorum agreed on. */
export interface ReadResult {
  readonly value: unknown;
  readonly version: Version;
}

/** A value of one region, which may be older than what a quorum has. */
export interface NearestReadResult extends ReadResult {
  readonly region: string;
}

/** The events of a replicated store, by name. */
export interface ReplicatedStoreEvents {
  /** A read wrote the register to regions that lacked it. */
  repaired: { key: string; regions: readonly string[]; atMs: number };
}

const replicatedStoreEventKinds: EventKinds<ReplicatedStoreEvents> = { repaired: true };

/** What a replicated store has counted since it was made. */
export interface ReplicatedStoreStats {
  readonly writes: number;
  /** Writes with too few confirmations that some regions may have stored. */
  readonly unknownWrites: number;
  readonly reads: number;
  /** Reads that had to write the value back before they could return it. */
  readonly writeBacks: number;
  /** Regions asked because nearer ones were slow. */
  readonly hedges: number;
  /** Calls that have returned while requests to some regions still run. */
  readonly trailing: number;
  /** The nearest first. */
  readonly regions: readonly RegionStats[];
}

/**
 * Values by key, replicated over regions that do not know each other: each is an independent Postgres, and a
 * minority of them may be down. It offers no SQL: independent primaries can agree on a register, but not on
 * statements.
 *
 * `write` and `read` are linearizable for each key: a read sees whatever was written before it began, or read
 * by an earlier read. Algorithm: multi-writer atomic register (Attiya, Bar-Noy, Dolev 1995; Lynch, Shvartsman
 * 1997): a write reads the versions of a read quorum and uses a higher one; a read that finds the newest
 * version in too few regions writes it back before it returns. So a write takes two round trips to a quorum, a
 * read one, or two with a write-back.
 */
export interface ReplicatedStore {
  /**
   * Resolves once a write quorum has stored it; the other regions are written at the same time or later.
   * @param value anything that JSON represents; `null` for none.
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
   * The value of the nearest region that responds, which may be old; asks the next region when one fails or is
   * slow. Works with a single region.
   * @throws InvalidOptionError, DataUnavailableError, ReplicatedStoreClosedError, or the signal's own reason.
   */
  readWithFailover(
    key: string,
    options?: ReplicatedCallOptions,
  ): Promise<NearestReadResult | undefined>;
  readonly on: Subscribe<ReplicatedStoreEvents>;
  getStats(): ReplicatedStoreStats;
  /** Resolves when no request of a returned call is still running. */
  settled(): Promise<void>;
  /** Rejects calls under way with ReplicatedStoreClosedError. The databases stay open. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A register of values over several Postgres regions; a majority of them is enough to read and write.
 * @throws InvalidOptionError, also when a read could miss a write (`writeQuorum + readQuorum` too small).
 */
export function createReplicatedStore(options: ReplicatedStoreOptions): ReplicatedStore {
  return new QuorumStore(parseReplicatedOptions(options));
}

/** Collects the requests that a call leaves behind. */
type TrackRound = (round: RoundResult<unknown>) => void;

const callShape = { signal: signalRule };

class QuorumStore implements ReplicatedStore {
  readonly on: Subscribe<ReplicatedStoreEvents>;
  readonly #options: ResolvedReplicatedOptions;
  readonly #client: QuorumClient;
  readonly #events = createEmitter<ReplicatedStoreEvents>(
    'holdfast:replicated-store',
    replicatedStoreEventKinds,
  );
  readonly #closing = new AbortController();
  readonly #trailing = new Set<Promise<void>>();
  readonly #counts = { writes: 0, unknownWrites: 0, reads: 0, writeBacks: 0 };
  #lastCounter = 0;

  constructor(options: ResolvedReplicatedOptions) {
    this.#options = options;
    this.#client = new QuorumClient(options);
    this.on = this.#events.on;
  }

  async write(key: string, value: unknown, options?: ReplicatedCallOptions): Promise<WriteResult> {
    const { signal } = parseOptions('write', callShape, options);
    const { readQuorum, writeQuorum, maxValueBytes } = this.#options;
    checkKey('write', key);
    const text = encode('write', value, maxValueBytes);
    return this.#run(signal, async (call, trail) => {
      const known = await this.#client.versions(key, call);
      if (!known.isEnough) throw this.#noQuorumError('write', key, readQuorum, known, signal);
      const version = this.#nextVersion(known.answers.values());
      const regions = this.#client.order.nearestFirst();
      const target = { regions, needed: writeQuorum, trails: this.#mayRunInBackground() };
      const written = await this.#client.write(key, { version, text }, target, call);
      trail(written);
      if (written.isEnough) {
        this.#counts.writes += 1;
        return { version, regions: [...written.answers.keys()] };
      }
      this.#throwIfEnded(signal, 'unknown');
      const isRuledOut = written.outcomes.every(
        ({ status, error }) => status === 'failed' && !mayHaveWritten(error),
      );
      if (isRuledOut) throw this.#noQuorumError('write', key, writeQuorum, written, signal);
      this.#counts.unknownWrites += 1;
      throw new WriteUnknownError(key, writeQuorum, written.outcomes);
    });
  }

  async read(key: string, options?: ReplicatedCallOptions): Promise<ReadResult | undefined> {
    const { signal } = parseOptions('read', callShape, options);
    const { readQuorum } = this.#options;
    checkKey('read', key);
    return this.#run(signal, async (call, trail) => {
      const round = await this.#client.registers(key, readQuorum, call);
      if (!round.isEnough) throw this.#noQuorumError('read', key, readQuorum, round, signal);
      this.#counts.reads += 1;
      const newest = newestOf(round.answers.values());
      if (newest === undefined) return undefined;
      const written = await this.#writeBack(key, newest, round, call);
      if (written !== undefined) trail(written);
      return { value: decode(key, newest), version: newest.version };
    });
  }

  async readWithFailover(
    key: string,
    options?: ReplicatedCallOptions,
  ): Promise<NearestReadResult | undefined> {
    const { signal } = parseOptions('readWithFailover', callShape, options);
    checkKey('readWithFailover', key);
    return this.#run(signal, async (call) => {
      const round = await this.#client.registers(key, 1, call);
      const [nearest] = round.answers;
      if (nearest === undefined) {
        this.#throwIfEnded(signal);
        throw new DataUnavailableError(key, round.outcomes);
      }
      const [region, register] = nearest;
      if (register === undefined) return undefined;
      return { value: decode(key, register), version: register.version, region };
    });
  }

  getStats(): ReplicatedStoreStats {
    return {
      ...this.#counts,
      hedges: this.#client.hedges,
      trailing: this.#trailing.size,
      regions: this.#client.order.getStats(),
    };
  }

  async settled(): Promise<void> {
    while (this.#trailing.size > 0) await Promise.all(this.#trailing);
  }

  async close(): Promise<void> {
    this.#closing.abort(new ReplicatedStoreClosedError('unknown'));
    await Promise.all(this.#trailing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Runs a call within its deadline, which is released once the last region that it asked has settled. */
  async #run<T>(
    signal: AbortSignal | undefined,
    work: (call: QuorumCall, trail: TrackRound) => Promise<T>,
  ): Promise<T> {
    this.#throwIfEnded(signal);
    const { clock, timeoutMs } = this.#options;
    const deadline = new CallDeadline(clock, timeoutMs, [this.#closing.signal]);
    let rest: Promise<void> | undefined;
    try {
      return await work({ deadline, signal }, (round) => (rest = round.remainingRequests));
    } finally {
      if (rest === undefined) deadline.release();
      else this.#trackBackgroundRequests(rest, deadline);
    }
  }

  #trackBackgroundRequests(rest: Promise<void>, deadline: CallDeadline): void {
    const trailing: Promise<void> = rest.then(() => {
      deadline.release();
      this.#trailing.delete(trailing);
    });
    this.#trailing.add(trailing);
  }

  #mayRunInBackground(): boolean {
    return this.#trailing.size < this.#options.maxTrailing;
  }

  /** @throws ReplicatedStoreClosedError, or the signal's reason. */
  #throwIfEnded(
    signal: AbortSignal | undefined,
    outcome: 'not-applied' | 'unknown' = 'not-applied',
  ): void {
    if (this.#closing.signal.aborted) throw new ReplicatedStoreClosedError(outcome);
    signal?.throwIfAborted();
  }

  /** @throws as {@link QuorumStore.#throwIfEnded} */
  #noQuorumError(
    operation: 'read' | 'write',
    key: string,
    needed: number,
    { outcomes }: RoundResult<unknown>,
    signal: AbortSignal | undefined,
  ): QuorumUnavailableError {
    this.#throwIfEnded(signal);
    return new QuorumUnavailableError(operation, key, needed, outcomes);
  }

  #nextVersion(known: Iterable<Version | undefined>): Version {
    for (const version of known) {
      this.#lastCounter = Math.max(this.#lastCounter, version?.counter ?? 0);
    }
    this.#lastCounter += 1;
    return { counter: this.#lastCounter, writer: this.#options.writer };
  }

  /** Writes the newest register to regions that lack it, so that every later read quorum includes it. */
  async #writeBack(
    key: string,
    newest: Register,
    round: RoundResult<Register | undefined>,
    call: QuorumCall,
  ): Promise<RoundResult<undefined> | undefined> {
    const holds = (region: string): boolean => {
      const version = round.answers.get(region)?.version;
      return version !== undefined && compareVersions(version, newest.version) === 0;
    };
    const all = round.outcomes.map(({ region }) => region);
    // With so many holders every read quorum includes one.
    const holdersNeeded = this.#client.size - this.#options.readQuorum + 1;
    const needed = holdersNeeded - all.filter(holds).length;
    const candidates = needed > 0 ? all : [...round.answers.keys()];
    const regions = candidates.filter((region) => !holds(region));
    if (regions.length === 0) return undefined;
    if (needed > 0) this.#counts.writeBacks += 1;
    const target = { regions, needed, trails: this.#mayRunInBackground() };
    const written = await this.#client.write(key, newest, target, call);
    if (!written.isEnough)
      throw this.#noQuorumError('read', key, holdersNeeded, written, call.signal);
    this.#events.emit('repaired', { key, regions, atMs: this.#options.clock.now() });
    return written;
  }
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
