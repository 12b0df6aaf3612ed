import { type Clock, abortable, withDeadline } from '@holdfast/foundation';
import type { Bundle, GenerationManifest } from '../catalog.ts';
import { CatalogStoreError } from '../generations/errors.ts';
import type { GenerationReader, StoreCallOptions } from '../generations/generation-store.ts';
import { CatalogTierTimeoutError } from './errors.ts';

/** A part has hundreds of rows. */
const PART_TIMES = 10;

/** What is known of a generation that nobody has opened. */
export type GenerationNumber = Pick<GenerationManifest, 'generation'>;

/** What a tier keeps its generations in: a store, or the backup. */
interface TierPlace {
  current?(options: StoreCallOptions): Promise<GenerationNumber | undefined>;
  open(options: StoreCallOptions): Promise<GenerationReader | undefined>;
}

/** A place from which whole generations are read, with a bound on each step of it. */
export class GenerationTier {
  readonly source: 'cache' | 'database' | 'backup';
  readonly #place: TierPlace;
  readonly #clock: Clock;
  readonly #stepMs: number;

  /** @param options.stepMs how long it may take to open it or read a row; ten times as long for each part. */
  constructor(
    source: GenerationTier['source'],
    place: TierPlace,
    { clock, stepMs }: { readonly clock: Clock; readonly stepMs: number },
  ) {
    this.source = source;
    this.#place = place;
    this.#clock = clock;
    this.#stepMs = stepMs;
  }

  /** What {@link open} would open, where the place can tell without opening it. @throws CatalogTierTimeoutError; what the place throws */
  async current(signal: AbortSignal): Promise<GenerationNumber | undefined> {
    return this.#step(signal, async (limit) => this.#place.current?.({ signal: limit }));
  }

  /** @throws CatalogStoreError when there is no generation; CatalogTierTimeoutError; what the place throws */
  async open(signal: AbortSignal): Promise<GenerationReader> {
    const opened = await this.#step(signal, (limit) => this.#place.open({ signal: limit }), {
      onLate: (late) => void late?.close().catch(() => undefined),
    });
    if (opened !== undefined) return opened;
    throw this.error('missing', 'has no generation yet');
  }

  /** All bundles, each part within the bound, whether or not the reader notices the signal. */
  async *readAll(
    reader: GenerationReader,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Bundle[], void, undefined> {
    const parts = reader.readAll({ signal })[Symbol.asyncIterator]();
    let isOver = false;
    try {
      while (true) {
        const next = await this.#step(signal, () => parts.next(), { times: PART_TIMES });
        isOver = next.done === true;
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      // Not awaited: that of a reader that hangs never returns.
      if (!isOver) void parts.return(undefined).catch(() => undefined);
    }
  }

  async readRow(
    reader: GenerationReader,
    row: number,
    signal: AbortSignal,
  ): Promise<Bundle | undefined> {
    return this.#step(signal, (limit) => reader.readRow(row, { signal: limit }));
  }

  error(reason: 'missing' | 'damaged', seen: string): CatalogStoreError {
    return new CatalogStoreError(this.source, reason, seen);
  }

  async #step<T>(
    signal: AbortSignal,
    work: (limit: AbortSignal) => Promise<T>,
    { times = 1, onLate = () => undefined }: { times?: number; onLate?: (late: T) => void } = {},
  ): Promise<T> {
    const limitMs = times * this.#stepMs;
    const late = (): Error => new CatalogTierTimeoutError(this.source, limitMs);
    return withDeadline(this.#clock, limitMs, signal, late, (limit) => {
      const working = work(limit);
      return abortable(working, limit, () => void working.then(onLate, () => undefined));
    });
  }
}

/** A tier, and the generation that it has: one that is known to be behind another tier is asked after it. */
export interface AskedTier {
  readonly tier: GenerationTier;
  readonly current: GenerationNumber | undefined;
}

interface AskOptions {
  readonly clock: Clock;
  readonly limitMs: number;
  /** Of the generation in memory: what is not newer is all alike. */
  readonly served: number;
  readonly signal: AbortSignal;
}

/**
 * Asks all tiers at once which generation they have, and orders them: of those that told, the newest first, in the order
 * given where they are alike. One that does not tell within `limitMs` keeps its place: it may have a generation. Never
 * rejects.
 */
export async function newestFirst(
  tiers: readonly GenerationTier[],
  { clock, limitMs, served, signal }: AskOptions,
): Promise<AskedTier[]> {
  const ask = async (tier: GenerationTier): Promise<AskedTier> => {
    const late = (): Error => new CatalogTierTimeoutError(tier.source, limitMs);
    const asking = withDeadline(clock, limitMs, signal, late, (limit) => tier.current(limit));
    return { tier, current: await asking.catch(() => undefined) };
  };
  const asked = await Promise.all(tiers.map(ask));
  const rank = ({ current }: AskedTier): number => Math.max(served, current?.generation ?? 0);
  const newest = asked
    .filter(({ current }) => current !== undefined)
    .toSorted((one, other) => rank(other) - rank(one));
  return asked.map((own) => (own.current === undefined ? own : (newest.shift() ?? own)));
}
