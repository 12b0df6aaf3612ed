import {
  type Emitter,
  InvalidOptionError,
  type Subscribe,
  createEmitter,
} from '@holdfast/foundation';
import { NetworkClosedError } from '../errors.ts';
import type { AddressSet, ResolveOptions } from '../network.ts';
import { Answers } from './answers/answers.ts';
import { AddressScores } from '../addresses/address-scores.ts';
import { configuredFamilies } from './answers/address-order.ts';
import { NameCall, type NameCallDeps } from './answers/call.ts';
import { NameHasNoAddressError, NameLimitError, NameResourcesError } from './errors.ts';
import { type SearchRules, familyOf, isLocalhost, parseHostname } from './hostname.ts';
import { createLookup } from './lookup.ts';
import { NameCache } from './answers/name-cache.ts';
import { type EntryDeps, NameEntry } from './answers/name-entry.ts';
import { type ResolverSettings, timeoutRule } from './options.ts';
import {
  type NameLookup,
  type NameAnswer,
  type NameSource,
  type Resolver,
  type ResolverEvents,
  type ResolverStats,
  resolverEventKinds,
} from './resolver.ts';
import type { Hosts } from './system-files.ts';

/** A name that is asked for less often is not renewed before it expires. */
const MIN_ASKS = 2;
const INTERFACES_MS = 30_000;
const OWNER = 'resolve';
const LOOPBACK = { 4: ['127.0.0.1'], 6: ['::1'] };
const NO_OPTIONS: ResolveOptions = {};

/** How long a failed address comes last, and how many are remembered. */
const FAILED_MS = 30_000;
const MAX_FAILED = 10_000;

/** The files of the system that a resolver follows. */
interface ResolverHeld {
  /** @throws the shortage for which one of them cannot be read */
  ensureRead(): void;
  close(): void;
}

/** The resolver over any source of answers; see {@link Resolver}. */
export class NameResolver implements Resolver {
  readonly lookup: NameLookup;
  readonly on: Subscribe<ResolverEvents>;
  readonly #settings: ResolverSettings;
  readonly #source: NameSource;
  readonly #answers: Answers;
  readonly #emitter: Emitter<ResolverEvents> = createEmitter(
    'holdfast:network:names',
    resolverEventKinds,
  );
  readonly #scores = new AddressScores(FAILED_MS, MAX_FAILED);
  readonly #cache: NameCache;
  readonly #calls = new Set<NameCall>();
  readonly #entryDeps: EntryDeps;
  readonly #callDeps: NameCallDeps;
  readonly #held: ResolverHeld;
  #rules: SearchRules;
  #hosts: Hosts = new Map();
  #hasIpv6: boolean | undefined;
  #readInterfacesMs = 0;
  #watched = 0;
  #isClosed = false;
  #hits = 0;
  #misses = 0;
  #staleAnswers = 0;
  #failures = 0;
  #prefetches = 0;
  #changes = 0;

  constructor(
    settings: ResolverSettings,
    source: NameSource,
    rules: SearchRules,
    held: ResolverHeld,
  ) {
    const { clock, maxNames, staleMs, staleWaitMs } = settings;
    this.#settings = settings;
    this.#source = source;
    this.#rules = rules;
    this.#held = held;
    this.#cache = new NameCache(maxNames);
    this.#answers = new Answers({
      settings,
      source,
      onRefreshDue: (entry) => this.#onRefreshDue(entry),
      onStale: (event) => this.#emitter.emit('stale', event),
    });
    this.on = this.#emitter.on;
    this.#entryDeps = {
      scores: this.#scores,
      firstFamily: () => this.#firstFamily(),
      onChange: (event) => {
        this.#changes += 1;
        this.#emitter.emit('changed', event);
      },
    };
    this.#callDeps = {
      clock,
      staleMs,
      staleWaitMs,
      join: (entry, family, asker) => this.#answers.join(entry, family, asker),
      leave: (entry, question, asker, cause) => this.#answers.leave(entry, question, asker, cause),
      partOf: (question) => this.#answers.partOf(question),
      onEnd: (call) => void this.#calls.delete(call),
    };
    this.lookup = createLookup(this, (hostname, family) => this.#hit(hostname, family));
  }

  resolve(hostname: string, options: ResolveOptions = NO_OPTIONS): Promise<AddressSet> {
    const { family = 0, signal } = options;
    if (signal?.aborted !== true) {
      const set = this.#hit(hostname, family);
      if (set !== undefined) return Promise.resolve(set);
    }
    try {
      return this.#resolveSlowly(hostname, options);
    } catch (error) {
      this.#failures += 1;
      return Promise.reject(error);
    }
  }

  watch(hostname: string): () => void {
    if (this.#isClosed) throw new NetworkClosedError('the resolver');
    if (familyOf(hostname) !== 0) return () => {};
    const entry = this.#entry(hostname, 'watch');
    if (entry.isStatic) return () => {};
    if (entry.watchers === 0) {
      const limit = Math.floor(this.#settings.maxNames / 2);
      if (this.#watched >= limit) throw new NameLimitError(entry.hostname, this.#watched);
      this.#watched += 1;
    }
    entry.watchers += 1;
    entry.wanted ??= 0;
    const nowMs = this.#settings.clock.now();
    if (entry.missing(entry.wanted, nowMs).length > 0) this.#renew(entry);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      entry.watchers -= 1;
      if (entry.watchers === 0) this.#watched -= 1;
    };
  }

  report(address: string, result: 'reached' | 'failed'): void {
    if (familyOf(address) === 0) {
      throw new InvalidOptionError('report', 'address', address, 'an IP address');
    }
    if (result !== 'reached' && result !== 'failed') {
      throw new InvalidOptionError('report', 'result', result, "'reached' or 'failed'");
    }
    this.#scores.report(address, result, this.#settings.clock.now());
  }

  getStats(): ResolverStats {
    const none = { queries: 0, tcpQueries: 0, hedges: 0, ignoredAnswers: 0, servers: [] };
    return {
      ...(this.#source.getStats?.() ?? none),
      names: this.#cache.size,
      watchedNames: this.#watched,
      inFlight: this.#answers.inFlight,
      waiting: this.#answers.waiting,
      hits: this.#hits,
      misses: this.#misses,
      staleAnswers: this.#staleAnswers,
      staleAgeMs: this.#staleAgeMs(),
      failures: this.#failures,
      prefetches: this.#prefetches,
      changes: this.#changes,
      evictions: this.#cache.evictions,
      failedAddresses: this.#scores.size,
    };
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#isClosed = true;
    this.#answers.close();
    const error = new NetworkClosedError('the resolver');
    for (const call of this.#calls) call.abort(error);
    this.#cache.clear();
    this.#source.close?.();
    this.#held.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Takes what the hosts file says now. */
  setHosts(hosts: Hosts): void {
    this.#hosts = hosts;
    for (const entry of this.#cache.values()) {
      if (!this.#applyHosts(entry) && entry.isStatic) {
        entry.isStatic = false;
        entry.forget();
      }
      entry.publish();
    }
  }

  /** Takes what resolv.conf says now; names are asked again. */
  setRules(rules: SearchRules): void {
    const isSame =
      rules.ndots === this.#rules.ndots && rules.search.join(' ') === this.#rules.search.join(' ');
    this.#rules = rules;
    if (isSame) return;
    const nowMs = this.#settings.clock.now();
    for (const entry of this.#cache.values()) {
      entry.candidates = parseHostname(OWNER, entry.key, rules).candidates;
      if (!entry.isStatic) entry.expire(nowMs);
    }
  }

  #staleAgeMs(): number {
    const nowMs = this.#settings.clock.now();
    let oldestMs = 0;
    for (const entry of this.#cache.values())
      oldestMs = Math.max(oldestMs, entry.staleAgeMs(nowMs));
    return oldestMs;
  }

  #hit(hostname: string, family: 0 | 4 | 6): AddressSet | undefined {
    const set = this.#cache.get(hostname)?.hit(family, this.#settings.clock.now());
    if (set !== undefined) this.#hits += 1;
    return set;
  }

  /** @throws what the promise would reject with. */
  #resolveSlowly(hostname: string, options: ResolveOptions): Promise<AddressSet> {
    if (this.#isClosed) throw new NetworkClosedError('the resolver');
    const { signal, family = 0, timeoutMs = this.#settings.timeoutMs } = options;
    signal?.throwIfAborted();
    if (family !== 0 && family !== 4 && family !== 6) {
      throw new InvalidOptionError(OWNER, 'family', family, '0, 4 or 6');
    }
    timeoutRule.parse(timeoutMs, 'timeoutMs', OWNER);
    const literal = typeof hostname === 'string' ? familyOf(hostname) : 0;
    if (literal !== 0) return Promise.resolve(literalSet(hostname, literal, family));
    const entry = this.#entry(hostname, OWNER);
    const nowMs = this.#settings.clock.now();
    const set = entry.hit(family, nowMs) ?? this.#known(entry, family, nowMs);
    if (set !== undefined) {
      this.#hits += 1;
      return Promise.resolve(set);
    }
    this.#misses += 1;
    return new Promise((resolve, reject) => {
      const settlement = {
        resolve: (found: AddressSet): void => {
          if (found.stale !== undefined) this.#staleAnswers += 1;
          resolve(found);
        },
        reject: (error: unknown): void => {
          this.#failures += 1;
          reject(error);
        },
      };
      this.#call(entry, { family, timeoutMs, signal, settlement });
    });
  }

  /** What can be said without waiting. @throws NameError where that is that there is no address. */
  #known(entry: NameEntry, family: 0 | 4 | 6, nowMs: number): AddressSet | undefined {
    entry.wanted = entry.wanted === undefined || entry.wanted === family ? family : 0;
    const found = entry.current(family, nowMs);
    if (found.kind === 'absent') throw found.error;
    const missing = entry.missing(family, nowMs);
    const isDue = missing.some((each) => entry.isDue(each, nowMs));
    if (found.kind === 'addresses') {
      const isAsked = missing.some((each) => entry.questions[each] !== undefined);
      if (isDue && !isAsked) this.#renew(entry, missing.length === 2 ? 0 : (missing[0] ?? 0));
      return entry.take(family, found, nowMs);
    }
    if (isDue) return undefined;
    const { staleMs } = this.#settings;
    const stale = entry.stale(family, nowMs, staleMs);
    if (stale === undefined) return undefined;
    this.#staleAnswers += 1;
    const ageMs = Math.max(0, nowMs - stale.untilMs);
    return entry.take(family, stale, nowMs, { ageMs, cause: entry.causeOf(family) });
  }

  #entry(hostname: string, owner: string): NameEntry {
    const known = this.#cache.get(hostname);
    if (known !== undefined) return known;
    const parsed = parseHostname(owner, hostname, this.#rules);
    const found = this.#cache.get(parsed.key);
    if (found !== undefined) return found;
    try {
      this.#held.ensureRead();
    } catch (error) {
      throw new NameResourcesError(parsed.hostname, error);
    }
    const entry = new NameEntry(parsed, this.#entryDeps);
    this.#applyHosts(entry);
    this.#cache.add(entry);
    return entry;
  }

  /** Returns whether the name is answered without asking. */
  #applyHosts(entry: NameEntry): boolean {
    const { hostname } = entry;
    const found = this.#hosts.get(hostname) ?? (isLocalhost(hostname) ? LOOPBACK : undefined);
    if (found === undefined) return false;
    entry.isStatic = true;
    for (const family of [4, 6] as const) {
      const addresses = found[family];
      const ttlMs = Infinity;
      const answer: NameAnswer =
        addresses.length > 0
          ? { kind: 'addresses', addresses, ttlMs }
          : { kind: 'no-address', ttlMs };
      entry.store(family, answer, 0);
    }
    return true;
  }

  #call(entry: NameEntry, options: ConstructorParameters<typeof NameCall>[2]): void {
    const call = new NameCall(this.#callDeps, entry, options);
    this.#calls.add(call);
    call.start();
  }

  /** Asks again while the present answer serves. */
  #renew(entry: NameEntry, family: 0 | 4 | 6 = entry.wanted ?? 0): void {
    const { timeoutMs } = this.#settings;
    this.#call(entry, { family, timeoutMs, signal: undefined, settlement: undefined });
  }

  #onRefreshDue(entry: NameEntry): void {
    const isWanted = entry.watchers > 0 || entry.asks >= MIN_ASKS;
    if (!isWanted || !this.#cache.has(entry) || entry.isStatic) return;
    this.#prefetches += 1;
    this.#renew(entry);
  }

  #firstFamily(): 4 | 6 {
    const { familyOrder, clock } = this.#settings;
    if (familyOrder !== undefined) return familyOrder === 'ipv4first' ? 4 : 6;
    const nowMs = clock.now();
    if (this.#hasIpv6 === undefined || nowMs - this.#readInterfacesMs >= INTERFACES_MS) {
      const configured = configuredFamilies();
      if (configured === undefined) return this.#hasIpv6 === true ? 6 : 4;
      this.#hasIpv6 = configured.has(6);
      this.#readInterfacesMs = nowMs;
    }
    return this.#hasIpv6 ? 6 : 4;
  }
}

function literalSet(address: string, family: 4 | 6, wanted: 0 | 4 | 6): AddressSet {
  if (wanted !== 0 && wanted !== family) throw new NameHasNoAddressError(address, wanted);
  return {
    hostname: address,
    addresses: [{ address, family }],
    validUntilMs: Infinity,
    revision: 1,
  };
}
