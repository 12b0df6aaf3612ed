import { settlesWithin } from '@holdfast/foundation';
import type { RedisWrite } from '../cache.ts';
import { encode } from '../codec/encode.ts';
import type { EntryOptions, ResolvedCacheOptions } from '../loading/cache-options.ts';
import { entryTimes } from '../loading/record-store.ts';
import type { GuardedLink } from './connection/guarded-link.ts';
import { type PipelineCommand, isRefusal } from './connection/redis-link.ts';
import { type Invalidation, PendingInvalidations } from './pending-invalidations.ts';
import { encodeEntry } from './protocol/entry-format.ts';
import { type RedisKeys, nameOf } from './protocol/keys.ts';
import { DELETE_KEY, INVALIDATE_TAG, NEW_EPOCH, STORE } from './protocol/scripts.ts';
import type { StreamId } from './protocol/stream-id.ts';
import type { HeldTurn } from './source-turns.ts';
import { type StreamFollower, textsIn } from './stream-follower.ts';
import type { ResolvedTierOptions } from './tier-options.ts';

interface RedisWriterDeps {
  readonly cache: ResolvedCacheOptions;
  readonly redis: ResolvedTierOptions;
  readonly link: GuardedLink;
  readonly follower: StreamFollower;
  readonly keys: RedisKeys;
  readonly schema: number;
}

/** What an entry is stored with. */
interface Writing extends EntryOptions {
  readonly loadMs: number;
  /** Of a load: where the stream was when it began, and in whose turn. */
  readonly started?: StreamId;
  readonly turn?: HeldTurn | undefined;
  readonly epoch: string;
}

const OUT_OF_MEMORY = /\bOOM\b/;
const REPLAYED_AT_A_TIME = 100;
const REPLAY_PAUSE_MS = 200;
/** From the end of a load until Redis has its answer. */
const LOAD_MARGIN_MS = 5_000;

/** Changes what the processes share. What Redis does not take is kept until it does. */
export class RedisWriter<T> {
  readonly #deps: RedisWriterDeps;
  readonly #keys: RedisKeys;
  readonly #link: GuardedLink;
  readonly #follower: StreamFollower;
  readonly #pending: PendingInvalidations;
  /** Calls of `set` that Redis has not answered. */
  #setting = 0;
  #onDrained: (() => void) | undefined;
  #isCatchingUp = false;
  #replayAtMs = -Infinity;
  #writes = 0;
  #refused = 0;
  #discarded = 0;

  constructor(deps: RedisWriterDeps) {
    this.#deps = deps;
    this.#keys = deps.keys;
    this.#link = deps.link;
    this.#follower = deps.follower;
    this.#pending = new PendingInvalidations(deps.redis.maxPending);
  }

  /** Whether what Redis has under the key is known here to be invalid. */
  isKeyPending(key: string): boolean {
    return this.#pending.hasKey(key);
  }

  isTagPending(tags: readonly string[]): boolean {
    return this.#pending.hasTag(tags);
  }

  getStats(): { writes: number; refused: number; discarded: number; pending: number } {
    return {
      writes: this.#writes,
      refused: this.#refused,
      discarded: this.#discarded,
      pending: this.#pending.size,
    };
  }

  /** Stores what a caller has set, whatever is there. */
  async set(key: string, value: T, options: EntryOptions): Promise<RedisWrite> {
    const { epoch } = this.#follower;
    const invalidation = { kind: 'key', key } as const;
    if (epoch === undefined || !this.#link.isAvailable) {
      this.#pending.add(invalidation);
      return 'queued';
    }
    const { clock } = this.#deps.cache;
    const endMs = clock.now() + this.#deps.redis.timeoutMs;
    this.#setting += 1;
    try {
      const text = encode(value);
      const reply = await this.#store(key, value, text, { ...options, loadMs: 0, epoch });
      if (reply === 'stored') {
        this.#pending.delete(invalidation);
        return 'stored';
      }
      if (reply === 'epoch') this.#follower.doubt();
      await settlesWithin(clock, Math.max(0, endMs - clock.now()), this.invalidate(invalidation));
      return reply === 'epoch' ? 'queued' : 'refused';
    } catch {
      this.#pending.add(invalidation);
      return 'queued';
    } finally {
      this.#setting -= 1;
      this.#checkDrained();
    }
  }

  /**
   * Stores what was loaded, unless the key has changed since the load began. Whether the turn has ended with it, or must
   * be given back; never rejects.
   */
  async share(
    key: string,
    value: T,
    sharing: Omit<Writing, 'epoch'> & { readonly epoch: string | undefined },
  ): Promise<boolean> {
    const { epoch, tags } = sharing;
    if (epoch === undefined || this.#pending.hasTag(tags)) return false;
    try {
      const kind = await this.#store(key, value, encode(value), { ...sharing, epoch });
      return kind === 'stored' || kind === 'newer' || kind === 'late';
    } catch {
      // Redis is away, and the turn ends with its time.
      return true;
    }
  }

  /** Makes something invalid for all processes, now or as soon as Redis is back. */
  async invalidate(invalidation: Invalidation): Promise<'stored' | 'queued'> {
    this.#pending.add(invalidation);
    if (!this.#link.isAvailable) return 'queued';
    try {
      const { command, target, epoch } = this.#commandFor(invalidation);
      const askedMs = this.#deps.cache.clock.now();
      const [reply] = await this.#link.run([command]);
      const [kind, id] = textsIn(reply);
      if (kind === 'stored' && id !== undefined) {
        this.#follower.noteWritten(id, askedMs);
        if (epoch !== undefined) this.#follower.noteEpoch(epoch);
      } else if (isRefusal(reply, OUT_OF_MEMORY)) {
        await this.#invalidateWithoutMemory(target);
      } else {
        return 'queued';
      }
      this.#pending.delete(invalidation);
      this.#checkDrained();
      return 'stored';
    } catch {
      this.#pending.add(invalidation);
      return 'queued';
    }
  }

  /** Waits until Redis has every change, at most `limitMs`; how many it has not then. Never rejects. */
  async drain(limitMs: number): Promise<number> {
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = resolve;
    });
    this.#checkDrained();
    await settlesWithin(this.#deps.cache.clock, limitMs, drained);
    return this.#unsent;
  }

  get #unsent(): number {
    return this.#pending.size + this.#setting;
  }

  #checkDrained(): void {
    if (this.#unsent === 0) this.#onDrained?.();
  }

  /** What the script answers; `'refused'` for an error of the server. @throws RedisUnavailableError */
  async #store(key: string, value: T, text: string, writing: Writing): Promise<string> {
    const { streamMaxLength } = this.#deps.redis;
    const { epoch, loadMs, tags, started = '', turn } = writing;
    const isLoaded = started !== '';
    const times = entryTimes(this.#deps.cache, key, value, writing.ttlMs, isLoaded);
    const name = nameOf(key);
    const { clock } = this.#deps.cache;
    const askedMs = clock.now();
    const writtenAtEpochMs = clock.epochMs();
    const header = { epoch, schema: this.#deps.schema, ...times, writtenAtEpochMs, loadMs, tags };
    const [reply] = await this.#link.run([
      {
        script: STORE,
        keys: [
          this.#keys.stream,
          this.#keys.epoch,
          this.#keys.entry(key),
          this.#keys.lock(key),
          ...tags.map((tag) => this.#keys.tag(tag)),
        ],
        args: [
          streamMaxLength,
          this.#follower.node,
          isLoaded ? 'store' : 'set',
          name,
          epoch,
          encodeEntry(name, header, text),
          Math.max(1, Math.ceil(times.keptMs)),
          started,
          turn?.token ?? '',
          this.#follower.serverTime.now() ?? '',
        ],
      },
    ]);
    const [kind = 'refused', id] = textsIn(reply);
    if (id !== undefined) this.#follower.noteWritten(id, askedMs);
    if (kind === 'stored') {
      this.#writes += 1;
    } else if (kind === 'refused') {
      this.#refused += 1;
    } else {
      this.#discarded += 1;
    }
    return kind;
  }

  /** Finds out whether Redis answers again, and tells it what has become invalid meanwhile. */
  catchUp(): void {
    if (this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    void this.#replay();
  }

  async #replay(): Promise<void> {
    const { clock } = this.#deps.cache;
    await this.#link.probe(['get', this.#keys.epoch]);
    if (this.#pending.size > 0 && this.#link.isAvailable && clock.now() >= this.#replayAtMs) {
      const next = this.#pending.next(REPLAYED_AT_A_TIME);
      const results = await Promise.all(next.map((invalidation) => this.invalidate(invalidation)));
      // Redis answers and refuses: it will for a while.
      if (results.includes('queued')) this.#replayAtMs = clock.now() + REPLAY_PAUSE_MS;
    }
    this.#isCatchingUp = false;
  }

  #commandFor(invalidation: Invalidation): {
    command: PipelineCommand;
    target: string;
    epoch?: string;
  } {
    const { stream, epoch: epochKey } = this.#keys;
    const { streamMaxLength } = this.#deps.redis;
    const { node } = this.#follower;
    if (invalidation.kind === 'all') {
      const epoch = this.#follower.nextEpoch();
      const args = [streamMaxLength, node, epoch, ''];
      return {
        command: { script: NEW_EPOCH, keys: [stream, epochKey], args },
        target: epochKey,
        epoch,
      };
    }
    if (invalidation.kind === 'tag') {
      const target = this.#keys.tag(invalidation.tag);
      const args = [streamMaxLength, node, nameOf(invalidation.tag)];
      return { command: { script: INVALIDATE_TAG, keys: [stream, target], args }, target };
    }
    const target = this.#keys.entry(invalidation.key);
    // Remembered for as long as a load may run that began before.
    const keptMs = this.#deps.cache.loadTimeoutMs + LOAD_MARGIN_MS;
    const args = [streamMaxLength, node, nameOf(invalidation.key), keptMs];
    return { command: { script: DELETE_KEY, keys: [stream, target], args }, target };
  }

  /**
   * Where there is no memory nothing can be published. Without an epoch all processes doubt what they have in memory,
   * and nothing in Redis is valid any more.
   * @throws RedisUnavailableError, or the refusal
   */
  async #invalidateWithoutMemory(target: string): Promise<void> {
    const replies = await this.#link.run([
      ['del', target],
      ['del', this.#keys.epoch],
    ]);
    for (const reply of replies) if (reply instanceof Error) throw reply;
    this.#follower.doubt();
  }
}
