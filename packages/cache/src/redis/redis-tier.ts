import { type Emitter, settlesWithin } from '@holdfast/foundation';
import type { CacheEvents, RedisTierStats } from '../cache.ts';
import type { ResolvedCacheOptions } from '../loading/cache-options.ts';
import type { SharedEntry, SharedTier, SourceTurn } from '../loading/shared-tier.ts';
import { hashOf } from '../memory/hash.ts';
import { GuardedLink } from './connection/guarded-link.ts';
import { RedisLink } from './connection/redis-link.ts';
import { EntryReader } from './entry-reader.ts';
import { KeyWaiters } from './key-waiters.ts';
import { RedisKeys } from './protocol/keys.ts';
import type { StreamMessage } from './protocol/stream-message.ts';
import { RedisWriter } from './redis-writer.ts';
import { type HeldTurn, SourceTurns } from './source-turns.ts';
import { type DropReason, StreamFollower } from './stream-follower.ts';
import type { ResolvedTierOptions } from './tier-options.ts';

/** What the tier does in the memory of its process. */
interface RedisTierDeps {
  readonly cache: ResolvedCacheOptions;
  readonly redis: ResolvedTierOptions;
  readonly events: Emitter<CacheEvents>;
  forgetKey(key: string): void;
  forgetTag(tag: string): void;
  forgetAll(): void;
}

/** The entries that processes share in Redis, and the invalidations that they send each other. */
export class RedisTier<T> implements SharedTier<T> {
  readonly #deps: RedisTierDeps;
  readonly #keys: RedisKeys;
  readonly #link: GuardedLink;
  readonly #follower: StreamFollower;
  readonly #reader: EntryReader<T>;
  readonly #turns: SourceTurns;
  readonly #waiters: KeyWaiters;
  /** How the changes are made. */
  readonly writer: RedisWriter<T>;
  #isOpened = false;
  #hits = 0;
  #misses = 0;
  #damaged = 0;
  #drops = 0;

  constructor(deps: RedisTierDeps) {
    const { client, namespace, schema, timeoutMs, failureThreshold } = deps.redis;
    const { clock, random } = deps.cache;
    const { leaseMs, turnMs, streamMaxLength } = deps.redis;
    this.#deps = deps;
    this.#keys = new RedisKeys(namespace);
    this.#waiters = new KeyWaiters(clock);
    this.#link = new GuardedLink(client, {
      timeoutMs,
      failureThreshold,
      clock,
      // They ask the source instead.
      onOpen: () => this.#waiters.wakeAll(),
    });
    this.#follower = new StreamFollower(
      new RedisLink(client, clock),
      this.#keys,
      { leaseMs, streamMaxLength, clock, random },
      {
        onMessage: (message) => this.#onMessage(message),
        onDropped: (reason) => this.#onDropped(reason),
        onConnected: () => deps.events.emit('redis-connected', {}),
        onLost: (error) => this.#onLost(error),
        onTurn: () => this.writer.catchUp(),
      },
    );
    const follower = this.#follower;
    const link = this.#link;
    const keys = this.#keys;
    const { node } = follower;
    const schemaHash = hashOf(schema);
    this.writer = new RedisWriter<T>({ ...deps, link, follower, keys, schema: schemaHash });
    this.#turns = new SourceTurns({ link, keys, clock, node, turnMs, streamMaxLength });
    this.#reader = new EntryReader<T>({
      link,
      keys,
      clock,
      schema: schemaHash,
      onDamaged: (key) => this.#onDamaged(key),
    });
  }

  /** Whether the first connection was made or has failed. */
  get isOpened(): boolean {
    return this.#isOpened;
  }

  /** Waits for the first connection, as long as for a command. */
  async open(): Promise<void> {
    const { clock } = this.#deps.cache;
    const opened = Promise.all([this.#follower.opened, this.#link.opened]);
    await settlesWithin(clock, this.#deps.redis.timeoutMs, opened);
    this.#isOpened = true;
  }

  isConfirmed(storedAtMs: number): boolean {
    return this.#follower.isConfirmed(storedAtMs);
  }

  async find(key: string): Promise<SharedEntry<T> | undefined> {
    if (!this.#isUsable(key)) return undefined;
    try {
      return this.#counted(await this.#reader.read(key));
    } catch {
      return undefined;
    }
  }

  async acquire(
    key: string,
    acceptsStale: boolean,
    signal: AbortSignal,
  ): Promise<SharedEntry<T> | SourceTurn<T>> {
    const { clock, loadTimeoutMs } = this.#deps.cache;
    const giveUpMs = clock.now() + loadTimeoutMs;
    const isAccepted = (entry: SharedEntry<T>): boolean =>
      acceptsStale || entry.ageMs < entry.freshMs;
    let stale: SharedEntry<T> | undefined;
    while (this.#isUsable(key) && clock.now() < giveUpMs) {
      const waiter = this.#waiters.add(key);
      try {
        const found = this.#counted(await this.#reader.read(key));
        if (found !== undefined && isAccepted(found)) return found;
        const { entry = found, turn } = await this.#claim(key);
        if (entry !== undefined && isAccepted(entry)) {
          void this.#release(key, turn);
          return entry;
        }
        stale = entry;
        if (turn !== undefined) return this.#turn(key, stale, turn);
        await waiter.wait(this.#deps.redis.turnMs / 2, signal);
      } catch {
        signal.throwIfAborted();
        break;
      } finally {
        waiter.cancel();
      }
    }
    return this.#turn(key, stale, undefined);
  }

  getStats(): RedisTierStats {
    return {
      isConnected: this.#follower.isSettled && this.#link.isAvailable,
      hits: this.#hits,
      misses: this.#misses,
      ...this.writer.getStats(),
      damaged: this.#damaged,
      timeouts: this.#link.timeouts,
      drops: this.#drops,
    };
  }

  /** How many changes are lost, because Redis has not taken them in time. Never rejects. */
  async close(): Promise<number> {
    this.#waiters.wakeAll();
    const lost = await this.writer.drain(this.#deps.redis.drainTimeoutMs);
    this.#follower.close();
    this.#link.close();
    if (lost > 0) this.#deps.events.emit('invalidations-lost', { count: lost });
    return lost;
  }

  #isUsable(key: string): boolean {
    return this.#link.isPrompt && this.#follower.isSettled && !this.writer.isKeyPending(key);
  }

  #counted(entry: SharedEntry<T> | undefined): SharedEntry<T> | undefined {
    const isHit = entry !== undefined && !this.writer.isTagPending(entry.tags);
    if (isHit) this.#hits += 1;
    else this.#misses += 1;
    return isHit ? entry : undefined;
  }

  /** The turn, if nobody has it, and what another has stored since the key was read. */
  async #claim(key: string): Promise<{ entry?: SharedEntry<T>; turn?: HeldTurn }> {
    const token = this.#turns.nextToken();
    const askedMs = this.#deps.cache.clock.now();
    const [claimed, epoch, reply, ttl] = await this.#link.run([
      this.#turns.claimCommand(key, token),
      ['get', this.#keys.epoch],
      ...this.#reader.commandsFor(key),
    ]);
    const turn = claimed === 'OK' ? this.#turns.hold(key, token) : undefined;
    // Where Redis refuses the lock, each process asks for itself.
    if (claimed instanceof Error) throw claimed;
    try {
      const entry = await this.#reader.found(key, askedMs, epoch, reply, ttl);
      const isKnown = entry !== undefined && !this.writer.isTagPending(entry.tags);
      return { ...(isKnown && { entry }), ...(turn !== undefined && { turn }) };
    } catch (error) {
      turn?.end();
      throw error;
    }
  }

  #turn(key: string, stale: SharedEntry<T> | undefined, turn: HeldTurn | undefined): SourceTurn<T> {
    const { epoch, position: started } = this.#follower;
    return {
      kind: 'turn',
      stale,
      share: (value, options) => {
        turn?.end();
        void this.#share(key, value, turn, { ...options, started, turn, epoch });
      },
      release: () => void this.#release(key, turn),
    };
  }

  /** Never rejects: the answer is given whether or not it can be shared. */
  async #share(
    key: string,
    value: T,
    turn: HeldTurn | undefined,
    sharing: Parameters<RedisWriter<T>['share']>[2],
  ): Promise<void> {
    if (!(await this.writer.share(key, value, sharing))) await this.#release(key, turn);
  }

  /** Never rejects. */
  async #release(key: string, turn: HeldTurn | undefined): Promise<void> {
    if (turn === undefined) return;
    turn.end();
    await this.#turns.release(key, turn);
  }

  #onMessage({ kind, name, node }: StreamMessage): void {
    const isOwn = node === this.#follower.node;
    const isAwaited = this.#waiters.has(name);
    if (kind === 'clear' && !isOwn) this.#deps.forgetAll();
    else if (kind === 'tag' && !isOwn) this.#deps.forgetTag(name);
    else if ((kind === 'set' || kind === 'delete') && !isOwn) this.#deps.forgetKey(name);
    else if (kind === 'store' && !isOwn && !isAwaited) this.#deps.forgetKey(name);
    if (kind !== 'tag') this.#waiters.wake(name);
  }

  #onDropped(reason: DropReason): void {
    this.#deps.forgetAll();
    this.#waiters.wakeAll();
    if (reason === 'joined') return;
    this.#drops += 1;
    this.#deps.events.emit('dropped', { reason });
  }

  #onLost(error: unknown): void {
    this.#waiters.wakeAll();
    this.#deps.events.emit('redis-lost', { error });
  }

  #onDamaged(key: string): void {
    this.#damaged += 1;
    this.#deps.events.emit('damaged', { key });
    this.#link.run([['del', this.#keys.entry(key)]]).catch(() => undefined);
  }
}
