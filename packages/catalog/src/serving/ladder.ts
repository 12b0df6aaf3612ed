import { type Clock, abortable, isHoldfastError, withDeadline } from '@holdfast/foundation';
import type { AnswerOrigin, Source } from '../catalog.ts';
import { CatalogTierTimeoutError, CatalogUnavailableError } from './errors.ts';
import type { LoadTier } from './load-generation.ts';
import type { Memory } from './memory.ts';
import type { TierAttempt } from './served-catalog.ts';
import type { SyncRuns } from './sync-runs.ts';
import { type GenerationTier, newestFirst } from './generation-tier.ts';

interface LadderDeps {
  readonly clock: Clock;
  readonly memory: Memory;
  readonly syncs: SyncRuns | undefined;
  /** In the order in which they are asked. */
  readonly stores: readonly GenerationTier[];
  readonly backup: GenerationTier | undefined;
  readonly load: LoadTier;
  readonly apiMs: number;
  /** How long all tiers are waited for to tell which generation they have. */
  readonly askMs: number;
  readonly totalMs: number;
  readonly onFellBack: (attempt: TierAttempt) => void;
  /** Resolves with the next generation that is served, whoever finds it. */
  readonly nextServed: (signal: AbortSignal) => Promise<unknown>;
  readonly retryAfterMs: () => number | undefined;
}

interface Rung {
  readonly tier: Source;
  /** Resolves when a generation is served from the tier. */
  readonly ask: (signal: AbortSignal) => Promise<void>;
}

/** Goes down the tiers until one has a generation. */
export class Ladder {
  readonly #deps: LadderDeps;
  /** Of the last descent that has ended. */
  attempts: readonly TierAttempt[] = [];

  constructor(deps: LadderDeps) {
    this.#deps = deps;
  }

  /** @throws CatalogUnavailableError; the signal's own reason */
  async descend(signal: AbortSignal): Promise<AnswerOrigin> {
    const { clock, totalMs, memory, retryAfterMs } = this.#deps;
    const attempts: TierAttempt[] = [];
    const late = (): Error => new CatalogTierTimeoutError('all of them together', totalMs);
    try {
      await withDeadline(clock, totalMs, signal, late, (limit) => this.#ask(attempts, limit));
    } catch {
      signal.throwIfAborted();
    } finally {
      this.attempts = attempts;
    }
    // Another generation may have come on another way meanwhile.
    if (memory.origin !== undefined) return memory.origin;
    throw new CatalogUnavailableError('no generation', attempts, retryAfterMs());
  }

  async #ask(attempts: TierAttempt[], limit: AbortSignal): Promise<void> {
    const { clock, onFellBack, syncs, stores, memory } = this.#deps;
    const over = new AbortController();
    try {
      for await (const { tier, ask } of this.#rungs(AbortSignal.any([limit, over.signal]))) {
        const startedMs = clock.now();
        try {
          return await ask(limit);
        } catch (cause) {
          const attempt = { tier, cause, ms: clock.now() - startedMs };
          attempts.push(attempt);
          onFellBack(attempt);
          limit.throwIfAborted();
        }
      }
    } finally {
      over.abort();
    }
    const isAwaited = stores.length > 0 && isLocked(attempts[0]?.cause);
    const isPending = syncs?.running !== undefined || isAwaited;
    if (isPending && memory.served === undefined) await this.#awaitFirst(attempts, limit);
  }

  /** Of the places, a newer generation precedes an older one; then what is in memory precedes the backup. */
  async *#rungs(signal: AbortSignal): AsyncGenerator<Rung, void, undefined> {
    const { stores, backup, load, memory, askMs, clock } = this.#deps;
    const tiers = backup === undefined ? stores : [...stores, backup];
    // While the API is asked.
    const served = memory.served?.manifest.generation ?? 0;
    const asking = newestFirst(tiers, { clock, limitMs: askMs, served, signal });
    yield* this.#apiRung();
    const ofMemory: Rung = { tier: 'memory', ask: async () => memory.confirm('memory') };
    for (const { tier, current } of await asking) {
      const isNewer = current !== undefined && memory.isNewer(current);
      if (tier === backup && memory.served !== undefined && !isNewer) yield ofMemory;
      yield { tier: tier.source, ask: (limit) => load(tier, limit) };
    }
    if (memory.served !== undefined) yield ofMemory;
  }

  *#apiRung(): Generator<Rung, void, undefined> {
    const { syncs, apiMs, clock } = this.#deps;
    if (syncs === undefined) return;
    const late = (): Error => new CatalogTierTimeoutError('api', apiMs);
    yield {
      tier: 'api',
      ask: (signal) =>
        withDeadline(clock, apiMs, signal, late, async (limit) => {
          await abortable(syncs.start().keep().result, limit);
        }),
    };
  }

  /** Nothing is anywhere, but this process or another one syncs: what it publishes is the first generation. */
  async #awaitFirst(attempts: TierAttempt[], limit: AbortSignal): Promise<void> {
    const { clock, syncs, nextServed } = this.#deps;
    const startedMs = clock.now();
    const over = new AbortController();
    const signal = AbortSignal.any([limit, over.signal]);
    const running = syncs?.running?.result;
    try {
      const served = nextServed(signal);
      await (running === undefined ? served : Promise.race([served, abortable(running, signal)]));
    } catch (cause) {
      attempts[0] = { tier: 'api', cause, ms: (attempts[0]?.ms ?? 0) + clock.now() - startedMs };
    } finally {
      over.abort();
    }
  }
}

function isLocked(error: unknown): boolean {
  return isHoldfastError(error) && error.code === 'CATALOG_LOCKED';
}
