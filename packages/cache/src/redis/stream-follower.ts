import { type Clock, type Random, sleep } from '@holdfast/foundation';
import { RedisLink, RedisUnavailableError } from './connection/redis-link.ts';
import { ServerTime } from './connection/server-time.ts';
import type { RedisKeys } from './protocol/keys.ts';
import { JOIN, NEW_EPOCH } from './protocol/scripts.ts';
import { FIRST_ID, type StreamId, compareIds, laterOf, previousId } from './protocol/stream-id.ts';
import { type StreamMessage, messagesIn } from './protocol/stream-message.ts';

/** Why everything in memory was dropped: invalidations may have been missed. */
export type DropReason = 'joined' | 'epoch-changed' | 'stream-trimmed' | 'writes-lost';

interface FollowerOptions {
  readonly leaseMs: number;
  readonly streamMaxLength: number;
  readonly clock: Clock;
  readonly random: Random;
}

interface FollowerHandlers {
  onMessage(message: StreamMessage): void;
  /** What is in memory may have changed unnoticed. */
  onDropped(reason: DropReason): void;
  onConnected(): void;
  onLost(error: unknown): void;
  /** After each exchange with Redis, in vain or not. */
  onTurn(): void;
}

const RETRY_MS = 50;
const BATCH = 1_000;
/** The server waits for a quarter of the lease, and may be late by its own clock of a tenth of a second. */
const LEASE_PARTS = 4;

/**
 * Follows the invalidations of all processes. It is confirmed what is in memory as long as the last answer of Redis is
 * younger than the lease.
 *
 *   joining ──joined──▶ following ──no answer──▶ lost ──answer, nothing missed──▶ following
 *      ▲                    │                      │
 *      └── epoch changed, stream trimmed, writes lost: memory is dropped
 */
export class StreamFollower {
  readonly node: string;
  readonly serverTime: ServerTime;
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #options: FollowerOptions;
  readonly #handlers: FollowerHandlers;
  readonly #stopping = new AbortController();
  readonly #opening = Promise.withResolvers<void>();
  #epoch: string | undefined;
  #seen: StreamId = FIRST_ID;
  /** The last of the own writes that Redis has acknowledged. */
  #written: StreamId = FIRST_ID;
  #confirmedMs = -Infinity;
  #isConnected = false;
  #wasLost = false;
  /** After an outage, the others first have to say what they have changed meanwhile. */
  #settledAtMs = -Infinity;
  #dropReason: DropReason = 'joined';

  constructor(
    link: RedisLink,
    keys: RedisKeys,
    options: FollowerOptions,
    handlers: FollowerHandlers,
  ) {
    this.#link = link;
    this.#keys = keys;
    this.#options = options;
    this.#handlers = handlers;
    this.node = nonce(options.random);
    this.serverTime = new ServerTime(options.clock);
    void this.#run();
  }

  /** Settles when it follows for the first time, or cannot. */
  get opened(): Promise<void> {
    return this.#opening.promise;
  }

  /** Whether what Redis says can be relied on: it answers, and has done so for a lease since it was away. */
  get isSettled(): boolean {
    const isFollowing = this.#isConnected && this.#epoch !== undefined;
    return isFollowing && this.#options.clock.now() >= this.#settledAtMs;
  }

  /** The generation of the namespace; `undefined` while it is not known. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** Everything up to this was executed before now. */
  get position(): StreamId {
    return laterOf(this.#seen, this.#written);
  }

  isConfirmed(storedAtMs: number): boolean {
    const { clock, leaseMs } = this.#options;
    const confirmedMs = this.isSettled ? this.#confirmedMs : -Infinity;
    return clock.now() - Math.max(confirmedMs, storedAtMs) <= leaseMs;
  }

  /** @param askedMs when the command was sent that wrote it */
  noteWritten(id: StreamId, askedMs: number): void {
    this.serverTime.note(id, askedMs);
    this.#written = laterOf(this.#written, id);
  }

  noteEpoch(epoch: string): void {
    if (this.#epoch !== undefined) this.#epoch = epoch;
  }

  /** What was read elsewhere is of another epoch: nothing is confirmed until it is known what became of this one. */
  doubt(reason: DropReason = 'epoch-changed'): void {
    if (this.#epoch !== undefined) this.#dropReason = reason;
    this.#epoch = undefined;
    this.#confirmedMs = -Infinity;
  }

  nextEpoch(): string {
    return nonce(this.#options.random);
  }

  close(): void {
    this.#stopping.abort();
    this.#link.close();
    this.#opening.resolve();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    await this.#link.opened;
    while (!signal.aborted) {
      try {
        if (this.#epoch === undefined) await this.#join();
        else await this.#follow();
        this.#connected();
      } catch (error) {
        if (signal.aborted) return;
        this.#lost(error);
        await sleep(this.#options.clock, RETRY_MS, signal).catch(() => undefined);
      }
      this.#opening.resolve();
      this.#handlers.onTurn();
    }
  }

  async #join(): Promise<void> {
    const { clock, streamMaxLength, leaseMs } = this.#options;
    const keys = [this.#keys.stream, this.#keys.epoch];
    const args = [streamMaxLength, this.node, this.nextEpoch()];
    const askedMs = clock.now();
    const [reply] = await this.#link.run([{ script: JOIN, keys, args }], leaseMs);
    const [epoch, id] = textsIn(reply);
    if (epoch === undefined || id === undefined) throw refused(reply);
    // Also what is loading: it was read while nobody told what changes.
    this.#handlers.onDropped(this.#dropReason);
    this.#epoch = epoch;
    this.serverTime.note(id, askedMs);
    this.#seen = id;
    this.#written = id;
    this.#confirmedMs = askedMs;
  }

  async #follow(): Promise<void> {
    const { clock, leaseMs } = this.#options;
    const { stream, epoch } = this.#keys;
    const blockMs = Math.floor(leaseMs / LEASE_PARTS);
    const askedMs = clock.now();
    const written = this.#written;
    const seen = this.#seen;
    // The last entry is read again, which proves that the stream still is the one that it was.
    const check = this.#link.run(
      [
        ['get', epoch],
        ['xread', 'COUNT', BATCH, 'STREAMS', stream, previousId(seen)],
      ],
      leaseMs,
    );
    const wait = this.#link.run(
      [['xread', 'COUNT', BATCH, 'BLOCK', blockMs, 'STREAMS', stream, seen]],
      leaseMs + blockMs,
    );
    wait.catch(() => undefined);
    const [epochReply, checked] = await check;
    if (checked instanceof Error) throw checked;
    const known = this.#epoch;
    if (known === undefined) return;
    const messages = messagesIn(checked);
    if (messages[0]?.id !== seen) {
      await this.#missed(known, epochReply);
      return;
    }
    this.#apply(messages);
    if (epochReply !== known && epochReply !== this.#epoch) {
      this.doubt();
      return;
    }
    if (messages.length < BATCH) {
      if (compareIds(this.#seen, written) < 0) {
        await this.#writesLost(known);
        return;
      }
      this.#connected();
      this.#confirmedMs = askedMs;
    }
    const [waited] = await wait;
    if (waited instanceof Error) throw waited;
    this.#apply(messagesIn(waited));
  }

  #apply(messages: readonly StreamMessage[]): void {
    for (const message of messages) {
      if (compareIds(message.id, this.#seen) <= 0) continue;
      this.#seen = message.id;
      this.serverTime.note(message.id);
      if (message.kind === 'clear') this.noteEpoch(message.name);
      this.#handlers.onMessage(message);
    }
  }

  /** The last entry that was seen is no longer in the stream. */
  async #missed(known: string, epochReply: unknown): Promise<void> {
    if (epochReply !== known) {
      this.doubt();
      return;
    }
    const { leaseMs } = this.#options;
    const oldestOf = ['xread', 'COUNT', 1, 'STREAMS', this.#keys.stream, FIRST_ID] as const;
    const [reply] = await this.#link.run([oldestOf], leaseMs);
    const [oldest] = messagesIn(reply);
    const isTrimmed = oldest === undefined || compareIds(oldest.id, this.#seen) > 0;
    if (!isTrimmed) {
      await this.#writesLost(known);
      return;
    }
    this.doubt('stream-trimmed');
  }

  /**
   * The server has forgotten writes that it had acknowledged, as a replica that lagged behind: an old value may be there
   * again, under any key.
   */
  async #writesLost(known: string): Promise<void> {
    const { streamMaxLength, leaseMs } = this.#options;
    const keys = [this.#keys.stream, this.#keys.epoch];
    const args = [streamMaxLength, this.node, this.nextEpoch(), known];
    const [reply] = await this.#link.run([{ script: NEW_EPOCH, keys, args }], leaseMs);
    if (reply instanceof Error) throw reply;
    this.doubt('writes-lost');
  }

  #connected(): void {
    if (this.#isConnected || this.#epoch === undefined) return;
    this.#isConnected = true;
    const { clock, leaseMs } = this.#options;
    if (this.#wasLost) this.#settledAtMs = clock.now() + leaseMs;
    this.#handlers.onConnected();
  }

  #lost(error: unknown): void {
    if (error instanceof RedisUnavailableError) this.#link.renew();
    else this.doubt();
    if (!this.#isConnected && this.#wasLost) return;
    this.#isConnected = false;
    this.#wasLost = true;
    this.#handlers.onLost(error);
  }
}

/** What no other process draws. */
function nonce(random: Random): string {
  const part = (): string => Math.floor(random() * 2 ** 48).toString(36);
  return `${part()}.${part()}`;
}

function refused(reply: unknown): Error {
  return reply instanceof Error ? reply : new TypeError('Redis has answered a script otherwise');
}

/** The texts of which a reply of a script consists. */
export function textsIn(reply: unknown): string[] {
  if (!Array.isArray(reply)) return [];
  return reply.filter((part): part is string => typeof part === 'string');
}
