import { randomUUID } from 'node:crypto';
import type { Clock } from '@holdfast/resilience';
import type { Delivery, Recovery, Subscription } from '../backend.ts';
import { BackendError } from '../errors.ts';
import { isExistingGroup, isMissingGroup } from './errors.ts';
import type { TopicKeys } from './keys.ts';
import type { RedisLink } from './link.ts';
import { readNewDeliveries, readRecovery } from './replies.ts';
import { type Script, runScript } from './script.ts';
import {
  acknowledgeScript,
  buryScript,
  leaveScript,
  promoteScript,
  recoverScript,
} from './scripts.ts';

/** Everybody who handles a topic's jobs is in one group: each job goes to one of them. */
const GROUP = 'holdfast';
/** How long one XREADGROUP waits; short, so that closing and recovering are never far away. */
const BLOCK_MS = 250;

export interface SubscriptionOptions {
  readonly leaseMs: number;
  readonly maxDeadLetters: number;
  readonly clock: Clock;
}

/** One consumer of one stream: it waits for jobs on a link of its own and tells on the main one. */
export class RedisSubscription implements Subscription {
  readonly #fetching: RedisLink;
  readonly #telling: RedisLink;
  readonly #keys: TopicKeys;
  readonly #options: SubscriptionOptions;
  readonly #clock: Clock;
  readonly #consumer = randomUUID();
  /** When the next delayed job may be due. */
  #nextDueMs = 0;

  constructor(
    { fetching, telling }: { fetching: RedisLink; telling: RedisLink },
    keys: TopicKeys,
    options: SubscriptionOptions,
  ) {
    this.#fetching = fetching;
    this.#options = options;
    this.#clock = options.clock;
    this.#telling = telling;
    this.#keys = keys;
    fetching.open();
  }

  async whenUp(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#fetching.whenUp(signal), this.#telling.whenUp(signal)]);
  }

  async fetch(max: number): Promise<Delivery[]> {
    await this.#promote();
    const blockMs = Math.max(1, Math.min(BLOCK_MS, Math.ceil(this.#nextDueMs - this.#clock.now())));
    const command = ['GROUP', GROUP, this.#consumer, 'COUNT', max, 'BLOCK', blockMs];
    const from = ['STREAMS', this.#keys.stream, '>'];
    const reply = await this.#inGroup(() =>
      this.#fetching.call((client) => client.call('XREADGROUP', ...command, ...from), BLOCK_MS),
    );
    return readNewDeliveries(reply ?? null);
  }

  /** Hands over what is due; asked for again when the next one is, and often enough to notice new ones. */
  async #promote(): Promise<void> {
    if (this.#clock.now() < this.#nextDueMs) return;
    const { stream, delayed } = this.#keys;
    const dueInMs = await this.#telling.call((client) =>
      runScript(client, promoteScript, [stream, delayed], []),
    );
    const inMs = typeof dueInMs === 'number' && dueInMs >= 0 ? dueInMs : BLOCK_MS;
    this.#nextDueMs = this.#clock.now() + Math.min(inMs, BLOCK_MS);
  }

  async recover(held: readonly string[], max: number): Promise<Recovery> {
    const reply = await this.#inGroup(() =>
      this.#tell(recoverScript, [this.#options.leaseMs, max, ...held]),
    );
    // Without a group Redis has forgotten the jobs themselves; their handlers may as well finish.
    return reply === undefined ? { deliveries: [], lost: [] } : readRecovery(reply);
  }

  async acknowledge(deliveries: readonly string[]): Promise<void> {
    await this.#inGroup(() => this.#tell(acknowledgeScript, deliveries));
  }

  async bury(delivery: Delivery, reason: string): Promise<void> {
    const { handle, id, payload, enqueuedAtMs, deliveries, history = [] } = delivery;
    const fate = ['deliveries', deliveries, 'reason', reason, 'history', JSON.stringify(history)];
    const letter = ['id', id, 'at', enqueuedAtMs, 'payload', payload, ...fate];
    const { maxDeadLetters } = this.#options;
    await this.#inGroup(() =>
      this.#tell(buryScript, [handle, maxDeadLetters, ...letter], [this.#keys.dead]),
    );
  }

  async close(): Promise<void> {
    await this.#tell(leaveScript, []).catch(() => undefined);
    await this.#fetching.close();
  }

  #tell(
    script: Script,
    args: readonly (string | number)[],
    furtherKeys: readonly string[] = [],
  ): Promise<unknown> {
    const keys = [this.#keys.stream, ...furtherKeys];
    const all = [GROUP, this.#consumer, ...args];
    return this.#telling.call((client) => runScript(client, script, keys, all));
  }

  /** Runs an exchange; where the group is not there (yet, or any more) makes it and resolves `undefined`. */
  async #inGroup(exchange: () => Promise<unknown>): Promise<unknown> {
    try {
      return await exchange();
    } catch (error) {
      if (!(error instanceof BackendError) || !isMissingGroup(error.cause)) throw error;
      await this.#telling.call((client) =>
        client.xgroup('CREATE', this.#keys.stream, GROUP, '0', 'MKSTREAM').catch(ignoreExisting),
      );
      return undefined;
    }
  }
}

/** Two consumers may find the group missing at once; the second CREATE is refused, and that is fine. */
function ignoreExisting(error: unknown): void {
  if (!isExistingGroup(error)) throw error;
}
