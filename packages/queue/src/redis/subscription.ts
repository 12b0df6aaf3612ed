import { randomUUID } from 'node:crypto';
import type { Clock } from '@holdfast/foundation';
import type { Delivery, RecoveredDeliveries, Subscription } from '../backend.ts';
import { BackendError } from '../errors.ts';
import { isExistingGroup, isMissingGroup } from './errors.ts';
import type { TopicKeys } from './keys.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';
import { Subqueues } from './subqueues.ts';
import {
  inSubqueue,
  readHandle,
  readNewDeliveries,
  readPromotion,
  readRecovery,
  timeAndRouting,
} from './replies.ts';
import { type Script, runScript } from './scripts/script.ts';
import {
  acknowledgeScript,
  deadLetterScript,
  leaveScript,
  promoteScript,
  recoverScript,
} from './scripts/topic-scripts.ts';

/** Everybody who handles a topic's jobs is in one group: each job goes to one of them. */
export const GROUP = 'holdfast';
/** How long one XREADGROUP waits; short, so that closing and recovering are never far away. */
const BLOCK_MS = 250;

export interface SubscriptionOptions {
  readonly leaseMs: number;
  readonly maxDeadLetters: number;
  readonly clock: Clock;
}

/** One consumer of one stream: it waits for jobs on a link of its own and tells on the main one. */
export class RedisSubscription implements Subscription {
  readonly #fetching: ManagedConnection;
  readonly #telling: ManagedConnection;
  readonly #keys: TopicKeys;
  readonly #options: SubscriptionOptions;
  readonly #clock: Clock;
  readonly #consumer = randomUUID();
  readonly #subqueues: Subqueues;
  /** When the next delayed job may be due. */
  #nextDueMs = 0;
  /** What the topic has beside its main stream, which is ''. */
  #others: readonly string[] = [];

  constructor(
    { fetching, telling }: { fetching: ManagedConnection; telling: ManagedConnection },
    keys: TopicKeys,
    options: SubscriptionOptions,
  ) {
    this.#fetching = fetching;
    this.#options = options;
    this.#clock = options.clock;
    this.#telling = telling;
    this.#keys = keys;
    this.#subqueues = new Subqueues({
      stream: keys.stream,
      group: GROUP,
      consumer: this.#consumer,
      fetching,
      telling,
      clock: options.clock,
      blockMs: BLOCK_MS,
    });
    fetching.open();
  }

  async whenConnected(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#fetching.whenConnected(signal), this.#telling.whenConnected(signal)]);
  }

  async fetch(max: number): Promise<Delivery[]> {
    await this.#promote();
    const blockMs = Math.max(1, Math.min(BLOCK_MS, Math.ceil(this.#nextDueMs - this.#clock.now())));
    if (this.#others.length > 0) return this.#subqueues.fetch(max, blockMs);
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
    const reply = await this.#telling.call((client) =>
      runScript(client, promoteScript, [stream, delayed], []),
    );
    const { dueInMs, partitions, hasLevels } = readPromotion(reply);
    this.#others = [
      ...(hasLevels ? ['high', 'low'] : []),
      ...Array.from({ length: partitions }, (_, number) => String(number)),
    ];
    const inMs = dueInMs >= 0 ? dueInMs : BLOCK_MS;
    this.#nextDueMs = this.#clock.now() + Math.min(inMs, BLOCK_MS);
  }

  async recover(held: readonly string[], max: number): Promise<RecoveredDeliveries> {
    // What the topic has beside its stream may hold jobs of the dead.
    if (max > 0) await this.#promote();
    const bySubqueue = groupHandles(held);
    const recovery: { deliveries: Delivery[]; lost: string[] } = { deliveries: [], lost: [] };
    for (const subqueue of new Set(['', ...this.#others, ...bySubqueue.keys()])) {
      const ids = bySubqueue.get(subqueue) ?? [];
      const room = max - recovery.deliveries.length;
      if (subqueue !== '' && ids.length === 0 && room === 0) continue;
      const reply = await this.#tellIn(subqueue, recoverScript, [
        this.#options.leaseMs,
        room,
        ...ids,
      ]);
      // Without a group Redis has forgotten the jobs themselves; their handlers may as well finish.
      if (reply === undefined) continue;
      const { deliveries, lost } = readRecovery(reply);
      recovery.deliveries.push(...deliveries.map((taken) => inSubqueue(subqueue, taken)));
      recovery.lost.push(...lost.map((id) => (subqueue === '' ? id : `${subqueue}/${id}`)));
    }
    return recovery;
  }

  async acknowledge(deliveries: readonly string[]): Promise<void> {
    for (const [subqueue, ids] of groupHandles(deliveries)) {
      await this.#tellIn(subqueue, acknowledgeScript, ids);
    }
    this.#subqueues.freed();
  }

  async deadLetter(delivery: Delivery, reason: string): Promise<void> {
    const { id, payload, deliveries, history = [] } = delivery;
    const { subqueue, id: entry } = readHandle(delivery.handle);
    const fate = ['deliveries', deliveries, 'reason', reason, 'history', JSON.stringify(history)];
    const letter = ['id', id, 'at', timeAndRouting(delivery), 'payload', payload, ...fate];
    const { maxDeadLetters } = this.#options;
    await this.#tellIn(
      subqueue,
      deadLetterScript,
      [entry, maxDeadLetters, ...letter],
      [this.#keys.dead],
    );
    this.#subqueues.freed();
  }

  async close(): Promise<void> {
    for (const subqueue of ['', ...this.#others]) {
      await this.#tell(subqueue, leaveScript, []).catch(() => undefined);
    }
    await this.#fetching.close();
  }

  #streamOf(subqueue: string): string {
    return subqueue === '' ? this.#keys.stream : `${this.#keys.stream}:${subqueue}`;
  }

  #tellIn(
    subqueue: string,
    script: Script,
    args: readonly (string | number)[],
    furtherKeys: readonly string[] = [],
  ): Promise<unknown> {
    return this.#inGroup(
      () => this.#tell(subqueue, script, args, furtherKeys),
      this.#streamOf(subqueue),
    );
  }

  #tell(
    subqueue: string,
    script: Script,
    args: readonly (string | number)[],
    furtherKeys: readonly string[] = [],
  ): Promise<unknown> {
    const keys = [this.#streamOf(subqueue), ...furtherKeys];
    const all = [GROUP, this.#consumer, ...args];
    return this.#telling.call((client) => runScript(client, script, keys, all));
  }

  /** Runs an exchange; where the group is not there (yet, or any more) makes it and resolves `undefined`. */
  async #inGroup(
    exchange: () => Promise<unknown>,
    stream: string = this.#keys.stream,
  ): Promise<unknown> {
    try {
      return await exchange();
    } catch (error) {
      if (!(error instanceof BackendError) || !isMissingGroup(error.cause)) throw error;
      await this.#telling.call((client) =>
        client.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM').catch(ignoreExisting),
      );
      return undefined;
    }
  }
}

/** The ids of deliveries, by the subqueue they are in. */
function groupHandles(handles: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const handle of handles) {
    const { subqueue, id } = readHandle(handle);
    const group = groups.get(subqueue);
    if (group === undefined) groups.set(subqueue, [id]);
    else group.push(id);
  }
  return groups;
}

/** Two consumers may find the group missing at once; the second CREATE is refused, and that is fine. */
function ignoreExisting(error: unknown): void {
  if (!isExistingGroup(error)) throw error;
}
