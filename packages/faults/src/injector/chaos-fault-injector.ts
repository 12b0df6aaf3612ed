import {
  type Clock,
  createEmitter,
  derivedSeed,
  boolean,
  objectWith,
  integer,
  type Subscribe,
  parseOptions,
  seededRandom,
  sleep,
  systemClock,
} from '@holdfast/foundation';
import { type Decisions, createDecisionLog } from '../decision-log.ts';
import { corrupted, malformed, withoutSome } from './corruptions.ts';
import { type Injection, injectedError } from './injected-error.ts';
import {
  type InjectedFaultKind,
  type InjectedFaults,
  type ResolvedInjectedFault,
  type DrawnFault,
  injectedFaultKinds,
  parseInjectedFault,
} from './injected-faults.ts';
import { type Fetch, faultyFetch } from './faulty-fetch.ts';
import { type PgClient, wrappedPg } from './wrapped-pg.ts';
import { type RedisClient, wrappedRedis } from './wrapped-redis.ts';

export interface ChaosFaultInjectorOptions {
  /** Where chance begins: the same seed and the same calls meet the same faults. Default 1. */
  seed?: number;
  clock?: Clock;
}

export interface ChaosFaultInjectorEvents {
  injected: Injection;
}

export interface ChaosFaultInjectorStats {
  readonly enabled: boolean;
  readonly seed: number;
  /** Calls that came by while it was enabled. */
  readonly callCount: number;
  readonly injected: Readonly<Partial<Record<InjectedFaultKind, number>>>;
}

/**
 * Injects faults into calls inside the process, where a proxy does not reach: what is drawn for a call
 * depends on the seed, the kind and the call's number alone. While it is off, calls go straight through.
 */
export interface ChaosFaultInjector {
  readonly enabled: boolean;
  enable(): void;
  disable(): void;
  /** Replaces what was configured for the kind. @throws InvalidOptionError */
  configureFault<Kind extends InjectedFaultKind>(kind: Kind, options?: InjectedFaults[Kind]): void;
  /** Forgets every fault. */
  clear(): void;
  /** Makes the call, unless a fault does otherwise. @throws what the fault or the call throws, or the signal's own reason. */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<T>;
  /** The same function, with the faults in front of it. */
  wrap<Args extends unknown[], T>(
    fn: (...args: Args) => T | PromiseLike<T>,
  ): (...args: Args) => Promise<T>;
  /** A `fetch` that meets the faults as HTTP: refusals, a 429, broken bodies. Default: the global one. */
  fetch(base?: Fetch): Fetch;
  /** A client of ioredis whose commands and pipelines meet the faults; methods keep their types. */
  wrapRedis<Client extends RedisClient>(client: Client): Client;
  /** A client or pool of pg whose queries meet the faults; methods keep their types. */
  wrapPg<Client extends PgClient>(client: Client): Client;
  getStats(): ChaosFaultInjectorStats;
  /** What chance decided for each call; equal for equal seeds and calls. */
  decisions(): Decisions;
  readonly on: Subscribe<ChaosFaultInjectorEvents>;
}

const shape = {
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

const enabledRule = boolean(true);

/** @throws InvalidOptionError */
export function createChaosFaultInjector(
  initiallyEnabled: boolean,
  options?: ChaosFaultInjectorOptions,
): ChaosFaultInjector {
  const { seed, clock } = parseOptions('createChaosFaultInjector', shape, options);
  const announcer = createEmitter<ChaosFaultInjectorEvents>('holdfast:chaos-fault-injector');
  const log = createDecisionLog();
  const faults = new Map<InjectedFaultKind, ResolvedInjectedFault & { strikesLeft: number }>();
  const strikes: Partial<Record<InjectedFaultKind, number>> = {};
  let enabled = enabledRule.parse(initiallyEnabled, 'enabled', 'createChaosFaultInjector');
  let callCount = 0;

  /** Draws for one call, kind by kind, each from a sequence of its own. */
  const draw = (): DrawnFault[] => {
    if (!enabled) return [];
    callCount += 1;
    const callNumber = callCount;
    return injectedFaultKinds.flatMap((kind, index) => {
      const fault = faults.get(kind);
      if (fault?.enabled !== true) return [];
      const random = seededRandom(derivedSeed(seed, index, callNumber));
      const isStruck = random() < fault.probability && fault.strikesLeft > 0;
      log.record(`${callNumber} ${kind} ${isStruck ? 'struck' : 'spared'}`);
      if (!isStruck) return [];
      fault.strikesLeft -= 1;
      strikes[kind] = (strikes[kind] ?? 0) + 1;
      const injection = { kind, seed, callNumber };
      announcer.emit('injected', injection);
      return [{ fault, injection, random }];
    });
  };

  async function execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    given?: { signal?: AbortSignal | undefined },
  ): Promise<T> {
    const signal = given?.signal;
    signal?.throwIfAborted();
    const strokes = draw();
    for (const stroke of strokes) await beforeCall(stroke, clock, signal);
    let answer: T = await fn(signal);
    for (const stroke of strokes) answer = afterCall(answer, stroke);
    return answer;
  }

  return {
    get enabled() {
      return enabled;
    },
    enable: () => void (enabled = true),
    disable: () => void (enabled = false),
    configureFault(kind, given) {
      const fault = parseInjectedFault(kind, given);
      faults.set(kind, { ...fault, strikesLeft: fault.times });
    },
    clear: () => faults.clear(),
    execute,
    wrap:
      (fn) =>
      (...args) =>
        execute(() => fn(...args)),
    fetch: (base = globalThis.fetch) => faultyFetch(base, draw, clock),
    wrapRedis: (client) => wrappedRedis(client, execute),
    wrapPg: (client) => wrappedPg(client, execute),
    getStats: () => ({ enabled, seed, callCount, injected: { ...strikes } }),
    decisions: () => log.read(),
    on: announcer.on,
  };
}

async function beforeCall(
  { fault, injection, random }: DrawnFault,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<void> {
  switch (injection.kind) {
    case 'network_delay':
      return sleep(clock, fault.latencyMs + random() * fault.jitterMs, signal);
    case 'timeout':
      await sleep(clock, fault.latencyMs, signal);
      throw injectedError(injection, fault.errorMessage);
    case 'network_failure':
    case 'resource_exhaustion':
      throw injectedError(injection, fault.errorMessage);
    case 'rate_limit': {
      const { retryAfterMs } = fault;
      throw injectedError(injection, fault.errorMessage, { status: 429, retryAfterMs });
    }
    case 'partial_failure':
    case 'malformed_response':
    case 'data_corruption':
      return undefined;
  }
}

function afterCall<T>(answer: T, { fault, injection, random }: DrawnFault): T {
  switch (injection.kind) {
    case 'partial_failure': {
      const rest = withoutSome(answer, fault.lostShare, random);
      if (rest === undefined) throw injectedError(injection, fault.errorMessage);
      return rest;
    }
    case 'malformed_response':
      return malformed(answer);
    case 'data_corruption':
      return corrupted(answer, random);
    case 'network_delay':
    case 'resource_exhaustion':
    case 'rate_limit':
    case 'network_failure':
    case 'timeout':
      break;
  }
  return answer;
}
