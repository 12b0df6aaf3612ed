import type { Clock } from '@holdfast/foundation';
import {
  type KeptOutcome,
  type OutcomeState,
  type OutcomeStore,
  type OutcomeWatch,
  REMEMBERED_FACTOR,
} from '../outcomes/outcome-store.ts';

/** Values are looked through for expired ones whenever there are twice as many as after the last time. */
const FIRST_SWEEP = 1_000;

interface Expiring {
  readonly value: string;
  readonly untilMs: number;
}

/** Values that expire, by name. */
class ExpiringValues {
  readonly #values = new Map<string, Expiring>();
  readonly #clock: Clock;
  #sweepAt = FIRST_SWEEP;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(name: string): string | undefined {
    const found = this.#values.get(name);
    return found !== undefined && found.untilMs > this.#clock.now() ? found.value : undefined;
  }

  set(name: string, value: string, ttlMs: number): void {
    this.#values.set(name, { value, untilMs: this.#clock.now() + ttlMs });
    if (this.#values.size < this.#sweepAt) return;
    for (const [each] of this.#values) if (this.get(each) === undefined) this.#values.delete(each);
    this.#sweepAt = Math.max(FIRST_SWEEP, 2 * this.#values.size);
  }

  delete(name: string): void {
    this.#values.delete(name);
  }
}

/** The outcomes of jobs in this process. */
export class MemoryOutcomes implements OutcomeStore {
  readonly #outcomes: ExpiringValues;
  readonly #settled: ExpiringValues;
  readonly #progress: ExpiringValues;
  readonly #watchers = new Map<string, Set<(ids: readonly string[]) => void>>();
  readonly #assertOpen: () => void;

  /** @param assertOpen throws when the store is closed. */
  constructor(clock: Clock, assertOpen: () => void) {
    this.#outcomes = new ExpiringValues(clock);
    this.#settled = new ExpiringValues(clock);
    this.#progress = new ExpiringValues(clock);
    this.#assertOpen = assertOpen;
  }

  async read(topic: string, ids: readonly string[]): Promise<OutcomeState[]> {
    this.#assertOpen();
    return ids.map((id) => {
      const name = nameOf(topic, id);
      const outcome = this.#outcomes.get(name);
      const progress = this.#progress.get(name);
      return {
        ...(outcome !== undefined && { outcome }),
        ...(progress !== undefined && { progress }),
        isExpired: outcome === undefined && this.#settled.get(name) !== undefined,
      };
    });
  }

  async report(topic: string, id: string, progress: string, ttlMs: number): Promise<void> {
    this.#assertOpen();
    this.#progress.set(nameOf(topic, id), progress, ttlMs);
    this.#tell(topic, [id]);
  }

  watch(topic: string, onNews: (ids: readonly string[] | 'all') => void): OutcomeWatch {
    const watchers = this.#watchers.get(topic) ?? new Set();
    this.#watchers.set(topic, watchers);
    watchers.add(onNews);
    return {
      close: async () => {
        watchers.delete(onNews);
      },
    };
  }

  /** A job has ended. */
  keep(topic: string, kept: KeptOutcome | undefined): void {
    if (kept === undefined) return;
    const { id, outcome, ttlMs, isUnknown } = kept;
    const name = nameOf(topic, id);
    if (isUnknown && this.#outcomes.get(name) !== undefined) return;
    this.#outcomes.set(name, outcome, ttlMs);
    this.#settled.set(name, '', REMEMBERED_FACTOR * ttlMs);
    this.#tell(topic, [id]);
  }

  /** A dead letter is a job again. */
  forget(topic: string, id: string): void {
    this.#outcomes.delete(nameOf(topic, id));
    this.#settled.delete(nameOf(topic, id));
  }

  #tell(topic: string, ids: readonly string[]): void {
    for (const onNews of this.#watchers.get(topic) ?? []) onNews(ids);
  }
}

function nameOf(topic: string, id: string): string {
  return `${topic}\n${id}`;
}
