import { randomUUID } from 'node:crypto';
import type { Clock } from '@holdfast/foundation';
import type { Delivery, RecoveredDeliveries, Subscription } from '../backend.ts';
import { BackendError } from '../errors.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';
import { isExistingGroup, isMissingGroup } from './errors.ts';
import type { TopicKeys } from './keys.ts';
import {
  inSubqueue,
  parseHandle,
  parseNewDeliveries,
  parsePromotion,
  parseRecovered,
  timeAndRouting,
} from './replies.ts';
import {
  acknowledgeScript,
  deadLetterScript,
  recoverScript,
  removeConsumerScript,
} from './scripts/consumer-scripts.ts';
import { promoteScript } from './scripts/topic-scripts.ts';
import { type LuaScript, runScript } from './scripts/script.ts';
import { Subqueues } from './subqueues.ts';

/** The consumer group of all consumers of a topic: each job is delivered to one of them. */
export const GROUP = 'holdfast';
/** The longest XREADGROUP; short, so that closing and recovering are not delayed. */
const BLOCK_MS = 250;

interface SubscriptionOptions {
  readonly leaseMs: number;
  readonly maxDeadLetters: number;
  readonly clock: Clock;
}

/** One consumer of one topic. It reads on its own connection, and sends other commands on the shared one. */
export class RedisSubscription implements Subscription {
  readonly #blocking: ManagedConnection;
  readonly #commands: ManagedConnection;
  readonly #keys: TopicKeys;
  readonly #options: SubscriptionOptions;
  readonly #clock: Clock;
  readonly #consumer = randomUUID();
  readonly #subqueues: Subqueues;
  /** When the next delayed job may be due. */
  #nextDueMs = 0;
  /** The names of the topic's subqueues, without the main one, which is ''. */
  #subqueueNames: readonly string[] = [];

  constructor(
    { blocking, commands }: { blocking: ManagedConnection; commands: ManagedConnection },
    keys: TopicKeys,
    options: SubscriptionOptions,
  ) {
    const { clock } = options;
    const consumer = this.#consumer;
    this.#blocking = blocking;
    this.#options = options;
    this.#clock = clock;
    this.#commands = commands;
    this.#keys = keys;
    const own = { stream: keys.stream, group: GROUP, consumer, blockMs: BLOCK_MS };
    this.#subqueues = new Subqueues({ ...own, blocking, commands, clock });
    blocking.open();
  }

  async whenConnected(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#blocking.whenConnected(signal), this.#commands.whenConnected(signal)]);
  }

  async fetch(max: number): Promise<Delivery[]> {
    await this.#promote();
    const blockMs = Math.max(1, Math.min(BLOCK_MS, Math.ceil(this.#nextDueMs - this.#clock.now())));
    if (this.#subqueueNames.length > 0) return this.#subqueues.fetch(max, blockMs);
    const command = ['GROUP', GROUP, this.#consumer, 'COUNT', max, 'BLOCK', blockMs];
    const from = ['STREAMS', this.#keys.stream, '>'];
    const reply = await this.#inGroup(() =>
      this.#blocking.call((client) => client.call('XREADGROUP', ...command, ...from), BLOCK_MS),
    );
    return parseNewDeliveries(reply ?? null);
  }

  /** Moves due jobs to their streams; at most once per `BLOCK_MS`, and when the next job is due. */
  async #promote(): Promise<void> {
    if (this.#clock.now() < this.#nextDueMs) return;
    const { stream, delayed } = this.#keys;
    const reply = await this.#commands.call((client) =>
      runScript(client, promoteScript, [stream, delayed], []),
    );
    const { dueInMs, partitions, hasLevels } = parsePromotion(reply);
    this.#subqueueNames = [
      ...(hasLevels ? ['high', 'low'] : []),
      ...Array.from({ length: partitions }, (_, number) => String(number)),
    ];
    const inMs = dueInMs >= 0 ? dueInMs : BLOCK_MS;
    this.#nextDueMs = this.#clock.now() + Math.min(inMs, BLOCK_MS);
  }

  async recover(held: readonly string[], max: number): Promise<RecoveredDeliveries> {
    // Subqueues that this consumer does not know yet may hold jobs of dead consumers.
    if (max > 0) await this.#promote();
    const bySubqueue = groupHandles(held);
    const recovered: { deliveries: Delivery[]; lost: string[] } = { deliveries: [], lost: [] };
    for (const subqueue of new Set(['', ...this.#subqueueNames, ...bySubqueue.keys()])) {
      const ids = bySubqueue.get(subqueue) ?? [];
      const room = max - recovered.deliveries.length;
      if (subqueue !== '' && ids.length === 0 && room === 0) continue;
      const args = [this.#options.leaseMs, room, ...ids];
      const reply = await this.#runInGroup(subqueue, recoverScript, args);
      // Without a group, Redis has lost the jobs as well; their handlers may as well finish.
      if (reply === undefined) continue;
      const { deliveries, lost } = parseRecovered(reply);
      recovered.deliveries.push(...deliveries.map((taken) => inSubqueue(subqueue, taken)));
      recovered.lost.push(...lost.map((id) => (subqueue === '' ? id : `${subqueue}/${id}`)));
    }
    return recovered;
  }

  async acknowledge(deliveries: readonly string[]): Promise<void> {
    for (const [subqueue, ids] of groupHandles(deliveries)) {
      await this.#runInGroup(subqueue, acknowledgeScript, ids);
    }
    this.#subqueues.jobDone();
  }

  async deadLetter(delivery: Delivery, reason: string): Promise<void> {
    const { id, payload, deliveries, history = [] } = delivery;
    const { subqueue, id: entry } = parseHandle(delivery.handle);
    const failure = [
      'deliveries',
      deliveries,
      'reason',
      reason,
      'history',
      JSON.stringify(history),
    ];
    const letter = ['id', id, 'at', timeAndRouting(delivery), 'payload', payload, ...failure];
    const args = [entry, this.#options.maxDeadLetters, ...letter];
    await this.#runInGroup(subqueue, deadLetterScript, args, [this.#keys.dead]);
    this.#subqueues.jobDone();
  }

  async close(): Promise<void> {
    for (const subqueue of ['', ...this.#subqueueNames]) {
      await this.#run(subqueue, removeConsumerScript, []).catch(() => undefined);
    }
    await this.#blocking.close();
  }

  #streamOf(subqueue: string): string {
    return subqueue === '' ? this.#keys.stream : `${this.#keys.stream}:${subqueue}`;
  }

  #runInGroup(
    subqueue: string,
    script: LuaScript,
    args: readonly (string | number)[],
    furtherKeys: readonly string[] = [],
  ): Promise<unknown> {
    const run = (): Promise<unknown> => this.#run(subqueue, script, args, furtherKeys);
    return this.#inGroup(run, this.#streamOf(subqueue));
  }

  #run(
    subqueue: string,
    script: LuaScript,
    args: readonly (string | number)[],
    furtherKeys: readonly string[] = [],
  ): Promise<unknown> {
    const keys = [this.#streamOf(subqueue), ...furtherKeys];
    const all = [GROUP, this.#consumer, ...args];
    return this.#commands.call((client) => runScript(client, script, keys, all));
  }

  /** Runs an exchange. If the consumer group does not exist, creates it and resolves with `undefined`. */
  async #inGroup(
    exchange: () => Promise<unknown>,
    stream: string = this.#keys.stream,
  ): Promise<unknown> {
    try {
      return await exchange();
    } catch (error) {
      if (!(error instanceof BackendError) || !isMissingGroup(error.cause)) throw error;
      await this.#commands.call((client) =>
        client.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM').catch(ignoreExisting),
      );
      return undefined;
    }
  }
}

/** The stream ids of deliveries, by subqueue. */
function groupHandles(handles: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const handle of handles) {
    const { subqueue, id } = parseHandle(handle);
    const group = groups.get(subqueue);
    if (group === undefined) groups.set(subqueue, [id]);
    else group.push(id);
  }
  return groups;
}

/** Two consumers may create a missing group at the same time; the second CREATE fails, which is harmless. */
function ignoreExisting(error: unknown): void {
  if (!isExistingGroup(error)) throw error;
}
