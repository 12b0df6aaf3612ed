import { randomUUID } from 'node:crypto';
import { type Clock, type Timer, sleep } from '@holdfast/foundation';
import type {
  BackendFailure,
  Delivery,
  LastDeliveries,
  RecoveredDeliveries,
  Subscription,
  TopicControl,
} from '../../backend.ts';
import { BackendError } from '../../errors.ts';
import type { KeptOutcome } from '../../outcomes/outcome-store.ts';
import type { ManagedConnection } from '../connection/managed-connection.ts';
import { isExistingGroup, isMissingGroup } from '../errors.ts';
import { GROUP, type TopicKeys } from '../keys.ts';
import { readControl } from '../operations.ts';
import {
  type Maintenance,
  memberOf,
  parseEntries,
  parseHandle,
  parseMaintenance,
  parseNewDeliveries,
  parseRecovery,
  parseTime,
  timeAndRouting,
} from '../replies.ts';
import { acknowledgeScript, deadLetterScript } from '../scripts/consumer-scripts.ts';
import { acknowledgeWithOutcomesScript } from '../scripts/outcome-scripts.ts';
import {
  maintainScript,
  recoverScript,
  releaseScript,
  removeConsumerScript,
  retryLaterScript,
} from '../scripts/maintenance-scripts.ts';
import { type LuaScript, runScript } from '../scripts/script.ts';
import { outcomeSteps } from './outcome-steps.ts';
import { READ_BYTES, ReadWindow } from './read-window.ts';
import { Subqueues } from './subqueues.ts';

/** The wait of a fetch that names none. */
const WAIT_MS = 250;
/** How long a subscription does not look for delayed jobs that it was not told of. */
const MAINTAIN_EVERY_MS = 10_000;
/** The pause after a failed attempt to move due jobs. */
const RETRY_MS = 1_000;
/** The pause between attempts to end a blocking read that has not begun yet. */
const UNBLOCK_EVERY_MS = 10;
/** A claim is late once this part of a lease has passed: others may have lost the server meanwhile. */
const CLAIM_PARTS = 3;

interface SubscriptionOptions {
  readonly leaseMs: number;
  readonly maxDeadLetters: number;
  readonly clock: Clock;
  readonly onFailure: (failure: BackendFailure) => void;
}

type Call = readonly [
  script: LuaScript,
  keys: readonly string[],
  args: readonly (string | number)[],
];

/** One consumer of one topic. It reads on its own connection, and sends other commands on the shared one. */
export class RedisSubscription implements Subscription {
  readonly #blocking: ManagedConnection;
  readonly #commands: ManagedConnection;
  readonly #keys: TopicKeys;
  readonly #options: SubscriptionOptions;
  readonly #consumer = randomUUID();
  readonly #window = new ReadWindow();
  readonly #subqueues: Subqueues;
  /** The time of the server, and when the call began that has told it. */
  #serverTime: { readonly serverMs: number; readonly calledMs: number } | undefined;
  #maintainedMs = -Infinity;
  #cleanedMs = -Infinity;
  /** Fires when the next delayed job is due. */
  #nextDue: Timer | undefined;
  #nextDueMs = Infinity;
  /** The names of the topic's subqueues, without the main one, which is ''. */
  #subqueueNames: readonly string[] = [];
  #isClosed = false;

  constructor(
    { blocking, commands }: { blocking: ManagedConnection; commands: ManagedConnection },
    keys: TopicKeys,
    options: SubscriptionOptions,
  ) {
    this.#blocking = blocking;
    this.#options = options;
    this.#commands = commands;
    this.#keys = keys;
    this.#subqueues = new Subqueues({
      keys,
      group: GROUP,
      consumer: this.#consumer,
      blocking,
      commands,
      clock: options.clock,
      window: this.#window,
      maintain: (max) => this.#maintain(max),
      expectDue: (dueInMs) => this.#expectDue(dueInMs),
    });
    blocking.open({
      connected: () => undefined,
      attemptFailed: ({ error }) => options.onFailure(error),
      disconnected: () => undefined,
    });
  }

  async whenConnected(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#blocking.whenConnected(signal), this.#commands.whenConnected(signal)]);
  }

  async fetch(max: number, waitMs: number = WAIT_MS, signal?: AbortSignal): Promise<Delivery[]> {
    if (this.#options.clock.now() - this.#maintainedMs >= MAINTAIN_EVERY_MS) {
      const returned = await this.#maintain(max);
      if (returned.length > 0) return returned;
    }
    // A connection that is silent may be lost like the other one, which has shorter deadlines.
    this.#commands.onDisconnected(this, (error) => this.#blocking.disconnect(error));
    const blockMs = Math.max(1, Math.ceil(waitMs));
    if (this.#subqueueNames.length > 0) return this.#subqueues.fetch(max, blockMs, signal);
    return this.#read(max, blockMs, signal);
  }

  async #read(max: number, blockMs: number, signal: AbortSignal | undefined): Promise<Delivery[]> {
    const { stream } = this.#keys;
    const notify = `${stream}:notify`;
    const count = this.#window.jobs(max);
    const command = ['GROUP', GROUP, this.#consumer, 'COUNT', count, 'BLOCK', blockMs];
    const from = ['STREAMS', stream, notify, '>', '>'];
    const over = new AbortController();
    const onAbort = (): void => void this.#unblock(over.signal);
    if (signal?.aborted === true) return [];
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const reply =
        (await this.#inGroup([stream, notify], () =>
          this.#blocking.call(
            (client) => client.call('XREADGROUP', ...command, ...from),
            blockMs,
            true,
          ),
        )) ?? null;
      const deliveries = parseNewDeliveries(parseEntries(reply, stream));
      this.#window.record(deliveries);
      const isAsked = parseEntries(reply, notify).length > 0;
      if (!isAsked) return deliveries;
      return [...deliveries, ...(await this.#maintain(max - deliveries.length))];
    } finally {
      over.abort();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Ends the blocking read, so that it takes no job any more: by its client's id, or else with its connection. */
  async #unblock(over: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!over.aborted) {
      const isEnded = await this.#blocking.unblock(this.#commands);
      if (isEnded === undefined && !over.aborted) {
        this.#blocking.disconnect(new BackendError('unreachable', 'Redis: the consumer closes'));
      }
      if (isEnded !== false) return;
      await sleep(clock, UNBLOCK_EVERY_MS, over).catch(() => undefined);
    }
  }

  /** Moves due jobs to their streams, and takes jobs that were handed back. */
  async #maintain(max: number): Promise<Delivery[]> {
    const { stream, delayed } = this.#keys;
    const args = [Math.max(0, max), READ_BYTES];
    const reply = await this.#run([maintainScript, [stream, delayed], args], true);
    return this.#adopt(parseMaintenance(reply)).taken;
  }

  #adopt(maintenance: Maintenance): Maintenance {
    this.#maintainedMs = this.#options.clock.now();
    this.#subqueueNames = maintenance.subqueues;
    this.#window.record(maintenance.taken);
    this.#scheduleMaintenance(maintenance.dueInMs);
    return maintenance;
  }

  #scheduleMaintenance(dueInMs: number): void {
    this.#nextDue?.cancel();
    this.#nextDueMs = dueInMs < 0 ? Infinity : this.#options.clock.now() + dueInMs;
    if (dueInMs < 0 || this.#isClosed) return;
    const onDue = (): void => {
      this.#maintain(0).catch(() => this.#scheduleMaintenance(RETRY_MS));
    };
    this.#nextDue = this.#options.clock.schedule(dueInMs, onDue, { holdsProcess: false });
  }

  /** A job will be due in this time, perhaps before the one that was the next. */
  #expectDue(dueInMs: number): void {
    const dueMs = this.#options.clock.now() + dueInMs;
    if (dueInMs >= 0 && dueMs < this.#nextDueMs) this.#scheduleMaintenance(dueInMs);
  }

  async recover(
    held: readonly string[],
    max: number,
    mayTakeOver = true,
    last: LastDeliveries = { delivery: 0, max: 0 },
  ): Promise<RecoveredDeliveries> {
    const { leaseMs, clock } = this.#options;
    const { stream, delayed } = this.#keys;
    const isCleaning = max > 0 && clock.now() - this.#cleanedMs >= leaseMs;
    if (isCleaning) this.#cleanedMs = clock.now();
    const takesUntilMs = mayTakeOver ? await this.#takesUntilMs() : 0;
    const limits = [leaseMs, takesUntilMs, last.delivery, last.max];
    const flags = [isCleaning ? 1 : 0, last.isOfCrashes === true ? 1 : 0];
    const args = [max, READ_BYTES, ...limits, ...flags, ...held];
    const calledMs = clock.now();
    const reply = await this.#inGroup([stream, `${stream}:notify`], () =>
      this.#run([recoverScript, [stream, delayed], args], true),
    );
    if (reply === undefined) return { deliveries: [], lost: [] };
    const { lost, gone, serverMs } = parseRecovery(reply);
    this.#serverTime = { serverMs, calledMs };
    const maintenance = parseMaintenance(reply);
    if (max > 0) this.#adopt(maintenance);
    const { taken: deliveries, isPartial } = maintenance;
    return { deliveries, lost, gone, ...(isPartial && { isPartial }) };
  }

  /**
   * Until when, by the server's time, a claim that is sent now may take jobs over. Executed later, as from the buffer
   * of a link that was cut, it would find leases expired that nobody could renew.
   */
  async #takesUntilMs(): Promise<number> {
    const { leaseMs, clock } = this.#options;
    if (this.#serverTime === undefined) {
      const calledMs = clock.now();
      const reply = await this.#commands.call((client) => client.call('TIME'), 0, true);
      this.#serverTime = { serverMs: parseTime(reply), calledMs };
    }
    const { serverMs, calledMs } = this.#serverTime;
    return Math.floor(serverMs + (clock.now() - calledMs) + leaseMs / CLAIM_PARTS);
  }

  async acknowledge(
    deliveries: readonly string[],
    outcomes?: ReadonlyMap<string, KeptOutcome>,
  ): Promise<void> {
    for (const [subqueue, ids] of groupHandles(deliveries)) {
      if (outcomes === undefined) await this.#runInGroup(subqueue, acknowledgeScript, ids);
      else await this.#keepOutcomes(subqueue, ids, outcomes);
    }
    this.#subqueues.jobDone();
  }

  async #keepOutcomes(
    subqueue: string,
    ids: readonly string[],
    outcomes: ReadonlyMap<string, KeptOutcome>,
  ): Promise<void> {
    for (const { keys, args } of outcomeSteps(this.#keys, subqueue, ids, outcomes)) {
      await this.#runInGroup(subqueue, acknowledgeWithOutcomesScript, args, keys);
    }
  }

  async deadLetter(
    delivery: Delivery,
    reason: string,
    stack?: string,
    kept?: KeptOutcome,
  ): Promise<void> {
    const { id, payload, deliveries, history = [] } = delivery;
    const { subqueue, id: entry } = parseHandle(delivery.handle);
    const failure = [
      'deliveries',
      deliveries,
      'reason',
      reason,
      'history',
      JSON.stringify(history),
      ...(stack === undefined ? [] : ['stack', stack]),
    ];
    const letter = ['id', id, 'at', timeAndRouting(delivery), 'payload', payload, ...failure];
    const outcome = [kept?.ttlMs ?? 0, kept?.outcome ?? ''];
    const args = [entry, this.#options.maxDeadLetters, ...outcome, ...letter];
    const { dead, result, settled, news } = this.#keys;
    // A user that keeps no outcomes needs no rights to their keys.
    const keys = kept === undefined ? [dead] : [dead, result(id), settled(id), news];
    await this.#runInGroup(subqueue, deadLetterScript, args, keys);
    this.#subqueues.jobDone();
  }

  async retryLater(delivery: Delivery, delayMs: number): Promise<'delayed' | 'kept'> {
    const { subqueue, id } = parseHandle(delivery.handle);
    const isKept = /^\d/u.test(subqueue);
    const args = [id, delivery.deliveries, Math.ceil(delayMs), isKept ? '' : memberOf(delivery)];
    const reply = await this.#runInGroup(subqueue, retryLaterScript, args, [this.#keys.delayed]);
    // One that went to another consumer is not kept either.
    if (isKept && reply !== 0) return 'kept';
    this.#expectDue(delayMs);
    this.#subqueues.jobDone();
    return 'delayed';
  }

  async release(jobs: readonly Pick<Delivery, 'handle' | 'deliveries'>[]): Promise<void> {
    const attempts = new Map(jobs.map(({ handle, deliveries }) => [handle, deliveries]));
    for (const [subqueue, ids] of groupHandles([...attempts.keys()])) {
      const prefix = subqueue === '' ? '' : `${subqueue}/`;
      const args = ids.flatMap((id) => [id, attempts.get(prefix + id) ?? 0]);
      await this.#runInGroup(subqueue, releaseScript, args, [this.#keys.stream]);
    }
  }

  control(held: readonly string[]): Promise<TopicControl> {
    return readControl(this.#commands, this.#keys, [...groupHandles(held).keys()]);
  }

  async close(held: readonly string[] = []): Promise<void> {
    this.#isClosed = true;
    this.#nextDue?.cancel();
    this.#commands.onDisconnected(this, undefined);
    const bySubqueue = groupHandles(held);
    // Before the first attempt to connect, a call would wait for it; the queue may not even have begun it.
    const subqueues = this.#commands.isConnected ? ['', ...this.#subqueueNames] : [];
    const removals = subqueues.map((subqueue) => {
      const keys = [this.#streamOf(subqueue), this.#keys.stream];
      return this.#run([removeConsumerScript, keys, bySubqueue.get(subqueue) ?? []]);
    });
    await Promise.allSettled(removals);
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
    const stream = this.#streamOf(subqueue);
    return this.#inGroup([stream], () => this.#run([script, [stream, ...furtherKeys], args]));
  }

  #run([script, keys, args]: Call, isRoutine = false): Promise<unknown> {
    const all = [GROUP, this.#consumer, ...args];
    return this.#commands.call((client) => runScript(client, script, keys, all), 0, isRoutine);
  }

  /** Runs an exchange. If a consumer group does not exist, creates it and resolves with `undefined`. */
  async #inGroup(streams: readonly string[], exchange: () => Promise<unknown>): Promise<unknown> {
    try {
      return await exchange();
    } catch (error) {
      if (!(error instanceof BackendError) || !isMissingGroup(error.cause)) throw error;
      for (const stream of streams) {
        await this.#commands.call((client) =>
          client.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM').catch(ignoreExisting),
        );
      }
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
