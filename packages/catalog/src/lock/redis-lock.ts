import { type RedisScript, redisScript } from '@holdfast/cache/redis-link';
import { type Clock, HoldfastError, type Timer, integer, parseOptions } from '@holdfast/foundation';
import { randomUUID } from 'node:crypto';
import { type CatalogRedisOptions, redisRules, serverOf } from '../generations/redis/options.ts';
import { REDIS, RedisConnection } from '../generations/redis/redis-connection.ts';
import {
  CatalogLockClosedError,
  CatalogLockLostError,
  CatalogLockUnavailableError,
  CatalogLockedError,
} from './errors.ts';
import type { LockOptions, SyncLease, SyncLock } from './sync-lock.ts';

/** Options of {@link createRedisLock}. All times in milliseconds. */
export interface RedisLockOptions extends CatalogRedisOptions {
  /** How long the lock outlives a holder that is gone; it is renewed at a third of it. Default 30 000. */
  readonly ttlMs?: number;
}

/**
 * Takes the lock unless somebody has it; one without an end is given one. A token is above all before, also where the
 * counter was lost.
 * KEYS: lock, last token. ARGV: owner, ms, the token to be above.
 */
const ACQUIRE: RedisScript = redisScript(`
local leftMs = redis.call('PTTL', KEYS[1])
if leftMs == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if leftMs ~= -2 then return {'held', leftMs} end
local token = math.max(tonumber(redis.call('GET', KEYS[2])) or 0, tonumber(ARGV[3])) + 1
redis.call('MSET', KEYS[1], ARGV[1], KEYS[2], string.format('%.0f', token))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'acquired', token}`);

/** KEYS: lock. ARGV: owner, ms. */
const RENEW: RedisScript = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'renewed'}`);

/** KEYS: lock. ARGV: owner. */
const RELEASE: RedisScript = redisScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'released'}`);

const GIVE_BACK_MS = 250;
/** Of those that are not given back, the oldest end with their time. */
const MAX_LOST = 100;

const rules = { ...redisRules, ttlMs: integer({ min: 100, max: 86_400_000, default: 30_000 }) };

/** What a lease needs of its lock. */
interface LockParts {
  readonly connection: RedisConnection;
  readonly clock: Clock;
  readonly key: string;
  readonly tokenKey: string;
  readonly ttlMs: number;
}

/**
 * A lock in Redis. It keeps syncs from doing the same work twice; what keeps a late one from publishing is the token.
 * @throws InvalidOptionError
 */
export function createRedisLock(given: RedisLockOptions): SyncLock {
  const owner = 'createRedisLock';
  const { url, client, prefix, timeoutMs, clock, ttlMs } = parseOptions(owner, rules, given);
  const connection = new RedisConnection(serverOf(owner, { url, client, timeoutMs, clock }));
  const key = `{${prefix}}:lock`;
  return new RedisLock({ connection, clock, key, tokenKey: `${key}:token`, ttlMs });
}

class RedisLock implements SyncLock {
  readonly name = REDIS;
  readonly #parts: LockParts;
  readonly #leases = new Set<RedisLease>();
  /** Owners whose lock may be held although nobody knows it. */
  readonly #lost = new Set<string>();
  #giveBack: Timer | undefined;
  #isClosed = false;

  constructor(parts: LockParts) {
    this.#parts = parts;
  }

  async acquire({ signal, above = 0 }: LockOptions = {}): Promise<SyncLease> {
    const { clock, ttlMs } = this.#parts;
    if (this.#isClosed) throw new CatalogLockClosedError(REDIS);
    const owner = randomUUID();
    // From before the call: Redis may count from any moment until its answer.
    const endMs = clock.now() + ttlMs;
    const [kind, number] = await this.#take(owner, above, signal);
    if (kind === 'held') {
      throw new CatalogLockedError(REDIS, Number(number) < 0 ? undefined : Number(number));
    }
    if (kind !== 'acquired' || clock.now() >= endMs || this.#isClosed) {
      this.#loseTrack(owner);
      if (this.#isClosed) throw new CatalogLockClosedError(REDIS);
      throw new CatalogLockUnavailableError(REDIS, new Error('the answer came too late'));
    }
    const lease = new RedisLease(this.#parts, owner, Number(number), endMs, {
      onEnd: () => this.#leases.delete(lease),
      onLost: () => this.#loseTrack(owner),
    });
    this.#leases.add(lease);
    return lease;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#giveBack?.cancel();
    await Promise.all([...this.#leases].map((lease) => lease.release()));
    this.#parts.connection.close();
  }

  async #take(
    owner: string,
    above: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly unknown[]> {
    const { connection, key, tokenKey, ttlMs } = this.#parts;
    const command = { script: ACQUIRE, keys: [key, tokenKey], args: [owner, ttlMs, above] };
    signal?.throwIfAborted();
    try {
      const [reply] = await connection.run([command], { signal, lost: 'unknown' });
      return Array.isArray(reply) ? reply : [];
    } catch (error) {
      const isUntouched = error instanceof HoldfastError && error.outcome === 'not-applied';
      if (!isUntouched) this.#loseTrack(owner);
      signal?.throwIfAborted();
      if (this.#isClosed) throw new CatalogLockClosedError(REDIS);
      throw new CatalogLockUnavailableError(REDIS, error);
    }
  }

  /** The lock may be held by this owner, who does not want it: it is given back as soon as Redis answers. */
  #loseTrack(owner: string): void {
    this.#lost.add(owner);
    for (const oldest of this.#lost) {
      if (this.#lost.size <= MAX_LOST) break;
      this.#lost.delete(oldest);
    }
    if (this.#lost.size === 1) void this.#giveAllBack();
  }

  async #giveAllBack(): Promise<void> {
    const { connection, clock, key } = this.#parts;
    const owners = [...this.#lost];
    const commands = owners.map((owner) => ({ script: RELEASE, keys: [key], args: [owner] }));
    try {
      await connection.run(commands);
      for (const owner of owners) this.#lost.delete(owner);
    } catch {
      // Again, below.
    }
    if (this.#lost.size === 0 || this.#isClosed) return;
    this.#giveBack = clock.schedule(GIVE_BACK_MS, () => void this.#giveAllBack(), {
      holdsProcess: false,
    });
  }
}

class RedisLease implements SyncLease {
  readonly token: number;
  readonly #parts: LockParts;
  readonly #owner: string;
  readonly #controller = new AbortController();
  readonly #listener: { onEnd(): void; onLost(): void };
  #endMs: number;
  #expiry: Timer | undefined;
  #renewal: Timer | undefined;
  #isOver = false;

  constructor(
    parts: LockParts,
    owner: string,
    token: number,
    endMs: number,
    listener: { onEnd(): void; onLost(): void },
  ) {
    this.#parts = parts;
    this.#owner = owner;
    this.token = token;
    this.#endMs = endMs;
    this.#listener = listener;
    checkAtUse(this.#controller.signal, () => this.#check());
    this.#arm(endMs - parts.ttlMs + parts.ttlMs / 3);
  }

  get signal(): AbortSignal {
    this.#check();
    return this.#controller.signal;
  }

  async release(): Promise<void> {
    if (this.#isOver) return;
    this.#end();
    const { connection, key } = this.#parts;
    try {
      await connection.run([{ script: RELEASE, keys: [key], args: [this.#owner] }]);
    } catch {
      this.#listener.onLost();
    }
  }

  #arm(renewAtMs: number): void {
    const { clock } = this.#parts;
    const nowMs = clock.now();
    this.#expiry?.cancel();
    this.#expiry = clock.schedule(this.#endMs - nowMs, () => this.#check(), {
      holdsProcess: false,
    });
    this.#renewal = clock.schedule(Math.max(0, renewAtMs - nowMs), () => void this.#renew(), {
      holdsProcess: false,
    });
  }

  /** Ends the lease when its time is over: a timer cannot while the process is busy. */
  #check(): void {
    if (this.#isOver || this.#parts.clock.now() < this.#endMs) return;
    this.#end();
    // A renewal that is still under way would keep it from the others.
    this.#listener.onLost();
  }

  async #renew(): Promise<void> {
    const { connection, clock, key, ttlMs } = this.#parts;
    this.#check();
    if (this.#isOver) return;
    const beganMs = clock.now();
    let answer: unknown;
    try {
      const args = [this.#owner, ttlMs];
      const [reply] = await connection.run([{ script: RENEW, keys: [key], args }]);
      [answer] = Array.isArray(reply) ? reply : [];
    } catch {
      // Once more, while there is time.
    }
    this.#check();
    if (this.#isOver) return;
    if (answer === 'lost') {
      this.#end();
      return;
    }
    const isRenewed = answer === 'renewed';
    if (isRenewed) this.#endMs = beganMs + ttlMs;
    this.#arm(isRenewed ? beganMs + ttlMs / 3 : clock.now() + ttlMs / 20);
  }

  #end(): void {
    this.#isOver = true;
    this.#expiry?.cancel();
    this.#renewal?.cancel();
    this.#listener.onEnd();
    this.#controller.abort(new CatalogLockLostError(REDIS, this.token));
  }
}

/** The platform's signal tells of an abort when a timer could run; this one also looks whenever it is asked. */
function checkAtUse(signal: AbortSignal, check: () => void): void {
  const { prototype } = AbortSignal;
  Object.defineProperties(signal, {
    aborted: {
      get(): unknown {
        check();
        return Reflect.get(prototype, 'aborted', signal);
      },
    },
    throwIfAborted: {
      value(): void {
        check();
        if (signal.aborted) throw signal.reason;
      },
    },
  });
}
