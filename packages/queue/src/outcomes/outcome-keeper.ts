import type { Delivery } from '../backend.ts';
import { type StandardSchema, validateResult } from '../producer/schema.ts';
import { serializeValue } from '../producer/payload.ts';
import { type JobOutcome, encodeOutcome } from './outcome.ts';
import type { KeptOutcome } from './outcome-store.ts';
import type { ResolvedKeepResults } from './keep-results.ts';

/** The most that a consumer keeps of outcomes which the store has confirmed, should the store lose them. */
const RECENT_BYTES = 4_194_304;

/** More than a consumer can run at once. */
const MAX_UNCONFIRMED = 20_000;

type JobName = Pick<Delivery, 'id' | 'enqueuedAtMs'>;

interface OutcomeKeeperDeps {
  readonly topic: string;
  readonly keep: ResolvedKeepResults;
  /** The schema of the topic's results. */
  readonly schema: StandardSchema | undefined;
}

/**
 * Holds how the jobs of one consumer ended until the store has it, in the step that ends the job. What is confirmed is
 * remembered for a while: a store that loses both the end of a job and its outcome is sent both again.
 */
export class OutcomeKeeper {
  readonly #deps: OutcomeKeeperDeps;
  readonly #unconfirmed = new Map<string, string>();
  /** The oldest first. */
  readonly #recent = new Map<string, string>();
  #recentBytes = 0;

  constructor(deps: OutcomeKeeperDeps) {
    this.#deps = deps;
  }

  /** A handler has returned. */
  async returned(job: JobName, value: unknown): Promise<void> {
    this.#unconfirmed.set(nameOf(job), encodeOutcome(await this.#outcomeOf(value)));
    // Where a ledger failed after the handler, and the lease was lost, nobody asks for the outcome.
    const [oldest] = this.#unconfirmed.keys();
    if (this.#unconfirmed.size > MAX_UNCONFIRMED && oldest !== undefined) {
      this.#unconfirmed.delete(oldest);
    }
  }

  /** The outcomes of handled jobs, by their handles. */
  of(deliveries: readonly Delivery[]): ReadonlyMap<string, KeptOutcome> {
    const { ttlMs } = this.#deps.keep;
    return new Map(
      deliveries.map((delivery) => {
        const known = this.#known(nameOf(delivery));
        const outcome = known ?? encodeOutcome(HANDLED_BEFORE);
        const { id, handle } = delivery;
        return [handle, { id, outcome, ttlMs, isUnknown: known === undefined }];
      }),
    );
  }

  /** The outcome of a job that becomes a dead letter. */
  failed(delivery: Delivery, reason: string): KeptOutcome {
    const { id, deliveries: attempts } = delivery;
    this.#unconfirmed.delete(nameOf(delivery));
    const outcome = encodeOutcome({ kind: 'failed', reason, attempts });
    return { id, outcome, ttlMs: this.#deps.keep.ttlMs, isUnknown: false };
  }

  /** The store has the outcome of a job, or the job went to another consumer. */
  ended(delivery: Delivery): void {
    const name = nameOf(delivery);
    const outcome = this.#unconfirmed.get(name);
    if (outcome === undefined) return;
    this.#unconfirmed.delete(name);
    this.#forget(name);
    this.#recent.set(name, outcome);
    this.#recentBytes += outcome.length;
    for (const [oldest] of this.#recent) {
      if (this.#recentBytes <= RECENT_BYTES) return;
      this.#forget(oldest);
    }
  }

  #known(name: string): string | undefined {
    return this.#unconfirmed.get(name) ?? this.#recent.get(name);
  }

  #forget(name: string): void {
    this.#recentBytes -= this.#recent.get(name)?.length ?? 0;
    this.#recent.delete(name);
  }

  async #outcomeOf(value: unknown): Promise<JobOutcome> {
    const { topic, keep, schema } = this.#deps;
    const notKept = (seen: string): JobOutcome => ({ kind: 'not-kept', why: 'not-json', seen });
    let json: string | undefined;
    try {
      json = value === undefined ? undefined : serializeValue(value, 'result');
    } catch (error) {
      return notKept(String(error));
    }
    const bytes = json === undefined ? 0 : Buffer.byteLength(json);
    if (bytes > keep.maxBytes) {
      const seen = `${bytes} bytes, of at most ${keep.maxBytes}`;
      return { kind: 'not-kept', why: 'too-large', seen };
    }
    try {
      if (schema !== undefined) await validateResult(topic, schema, json);
    } catch (error) {
      return { kind: 'not-kept', why: 'not-fitting', seen: String(error) };
    }
    return { kind: 'returned', ...(json !== undefined && { json }) };
  }
}

const HANDLED_BEFORE: JobOutcome = {
  kind: 'not-kept',
  why: 'handled-before',
  seen: 'an earlier run had its effect',
};

function nameOf({ id, enqueuedAtMs }: JobName): string {
  return `${id}\n${enqueuedAtMs}`;
}
