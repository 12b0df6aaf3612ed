import { randomUUID } from 'node:crypto';
import type { Clock } from '@holdfast/foundation';
import type { Delivery, Recovery, Subscription } from '../backend.ts';
import { BackendError } from '../errors.ts';
import { isExistingGroup, isMissingGroup } from './errors.ts';
import type { TopicKeys } from './keys.ts';
import type { RedisLink } from './link.ts';
import { Channels } from './channels.ts';
import {
  inChannel,
  readHandle,
  readNewDeliveries,
  readPromotion,
  readRecovery,
  timeAndPlace,
} from './replies.ts';
import { type Script, runScript } from './script.ts';
import {
  acknowledgeScript,
  buryScript,
  leaveScript,
  promoteScript,
  recoverScript,
} from './scripts.ts';

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
  readonly #fetching: RedisLink;
  readonly #telling: RedisLink;
  readonly #keys: TopicKeys;
  readonly #options: SubscriptionOptions;
  readonly #clock: Clock;
  readonly #consumer = randomUUID();
  readonly #channels: Channels;
  /** When the next delayed job may be due. */
  #nextDueMs = 0;
  /** What the topic has beside its main stream, which is ''. */
  #others: readonly string[] = [];

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
    this.#channels = new Channels({
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

  async whenUp(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#fetching.whenUp(signal), this.#telling.whenUp(signal)]);
  }

  async fetch(max: number): Promise<Delivery[]> {
    await this.#promote();
    const blockMs = Math.max(1, Math.min(BLOCK_MS, Math.ceil(this.#nextDueMs - this.#clock.now())));
    if (this.#others.length > 0) return this.#channels.fetch(max, blockMs);
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

  async recover(held: readonly string[], max: number): Promise<Recovery> {
    // What the topic has beside its stream may hold jobs of the dead.
    if (max > 0) await this.#promote();
    const byChannel = groupHandles(held);
    const recovery: { deliveries: Delivery[]; lost: string[] } = { deliveries: [], lost: [] };
    for (const channel of new Set(['', ...this.#others, ...byChannel.keys()])) {
      const ids = byChannel.get(channel) ?? [];
      const room = max - recovery.deliveries.length;
      if (channel !== '' && ids.length === 0 && room === 0) continue;
      const reply = await this.#tellIn(channel, recoverScript, [
        this.#options.leaseMs,
        room,
        ...ids,
      ]);
      // Without a group Redis has forgotten the jobs themselves; their handlers may as well finish.
      if (reply === undefined) continue;
      const { deliveries, lost } = readRecovery(reply);
      recovery.deliveries.push(...deliveries.map((taken) => inChannel(channel, taken)));
      recovery.lost.push(...lost.map((id) => (channel === '' ? id : `${channel}/${id}`)));
    }
    return recovery;
  }

  async acknowledge(deliveries: readonly string[]): Promise<void> {
    for (const [channel, ids] of groupHandles(deliveries)) {
      await this.#tellIn(channel, acknowledgeScript, ids);
    }
    this.#channels.freed();
  }

  async bury(delivery: Delivery, reason: string): Promise<void> {
    const { id, payload, deliveries, history = [] } = delivery;
    const { channel, id: entry } = readHandle(delivery.handle);
    const fate = ['deliveries', deliveries, 'reason', reason, 'history', JSON.stringify(history)];
    const letter = ['id', id, 'at', timeAndPlace(delivery), 'payload', payload, ...fate];
    const { maxDeadLetters } = this.#options;
    await this.#tellIn(channel, buryScript, [entry, maxDeadLetters, ...letter], [this.#keys.dead]);
    this.#channels.freed();
  }

  async close(): Promise<void> {
    for (const channel of ['', ...this.#others]) {
      await this.#tell(channel, leaveScript, []).catch(() => undefined);
    }
    await this.#fetching.close();
  }

  #streamOf(channel: string): string {
    return channel === '' ? this.#keys.stream : `${this.#keys.stream}:${channel}`;
  }

  #tellIn(
    channel: string,
    script: Script,
    args: readonly (string | number)[],
    furtherKeys: readonly string[] = [],
  ): Promise<unknown> {
    return this.#inGroup(
      () => this.#tell(channel, script, args, furtherKeys),
      this.#streamOf(channel),
    );
  }

  #tell(
    channel: string,
    script: Script,
    args: readonly (string | number)[],
    furtherKeys: readonly string[] = [],
  ): Promise<unknown> {
    const keys = [this.#streamOf(channel), ...furtherKeys];
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

/** The ids of deliveries, by the channel they are in. */
function groupHandles(handles: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const handle of handles) {
    const { channel, id } = readHandle(handle);
    const group = groups.get(channel);
    if (group === undefined) groups.set(channel, [id]);
    else group.push(id);
  }
  return groups;
}

/** Two consumers may find the group missing at once; the second CREATE is refused, and that is fine. */
function ignoreExisting(error: unknown): void {
  if (!isExistingGroup(error)) throw error;
}
