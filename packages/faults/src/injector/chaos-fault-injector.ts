import {
  type Clock,
  type Subscribe,
  boolean,
  createEmitter,
  integer,
  objectWith,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import { type Decisions, createDecisionLog } from '../decision-log.ts';
import { FaultInjector } from '../fault-injector.ts';
import { beforeCall } from './before-call.ts';
import { corrupted, malformed, withoutSome } from './corruptions.ts';
import { type Fetch, faultyFetch } from './faulty-fetch.ts';
import { type Injection, injectedError } from './injected-error.ts';
import {
  type InjectedFault,
  type InjectedFaultKind,
  type InjectedFaults,
  type ResolvedInjectedFault,
  injectedFaultKinds,
  parseInjectedFault,
} from './injected-faults.ts';
import { type PgClient, wrapPg } from './wrap-pg.ts';
import { type RedisClient, wrapRedis } from './wrap-redis.ts';

export interface ChaosFaultInjectorOptions {
  /** The seed of every random decision: equal seeds and calls get equal faults. Default 1. */
  seed?: number;
  clock?: Clock;
}

export interface ChaosFaultInjectorEvents {
  injected: Injection;
}

export interface ChaosFaultInjectorStats {
  readonly enabled: boolean;
  readonly seed: number;
  /** Calls made while the injector was enabled. */
  readonly callCount: number;
  readonly injected: Readonly<Partial<Record<InjectedFaultKind, number>>>;
}

/**
 * Injects faults into calls inside the process, where no proxy reaches. What is drawn for a call depends only on the
 * seed, the kind and the number of the call. While it is disabled, calls pass unchanged.
 */
export interface ChaosFaultInjector {
  readonly enabled: boolean;
  enable(): void;
  disable(): void;
  /** Configures a fault, in place of an earlier one of its kind. @throws InvalidOptionError */
  configureFault<Kind extends InjectedFaultKind>(kind: Kind, options?: InjectedFaults[Kind]): void;
  /** Removes every fault. */
  clear(): void;
  /** Makes the call with the faults drawn for it. @throws what a fault or the call throws, or the signal's reason. */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<T>;
  /** Returns a function that makes each call with the faults drawn for it. */
  wrap<Args extends unknown[], T>(
    fn: (...args: Args) => T | PromiseLike<T>,
  ): (...args: Args) => Promise<T>;
  /** Returns a `fetch` with the faults as HTTP has them: refusals, a 429, broken bodies. Default: the global `fetch`. */
  fetch(base?: Fetch): Fetch;
  /** Returns an ioredis client with faults in its commands and pipelines; methods keep their types. */
  wrapRedis<Client extends RedisClient>(client: Client): Client;
  /** Returns a pg client or pool with faults in its queries; methods keep their types. */
  wrapPg<Client extends PgClient>(client: Client): Client;
  getStats(): ChaosFaultInjectorStats;
  /** What was injected and what was spared; equal for equal seeds and calls. */
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
  const emitter = createEmitter<ChaosFaultInjectorEvents>('holdfast:chaos-fault-injector');
  const log = createDecisionLog();
  const injector = new FaultInjector<InjectedFaultKind, ResolvedInjectedFault>(injectedFaultKinds, {
    seed,
    log,
  });
  let enabled = enabledRule.parse(initiallyEnabled, 'enabled', 'createChaosFaultInjector');
  let callCount = 0;

  /** Draws the faults of the next call. */
  const draw = (): InjectedFault[] => {
    if (!enabled) return [];
    callCount += 1;
    const callNumber = callCount;
    return injector.draw([callNumber]).map((drawn) => {
      const injection = { kind: drawn.kind, seed, callNumber };
      emitter.emit('injected', injection);
      return Object.assign(drawn, { injection });
    });
  };

  async function execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    given?: { signal?: AbortSignal | undefined },
  ): Promise<T> {
    const signal = given?.signal;
    signal?.throwIfAborted();
    const faults = draw();
    for (const fault of faults) {
      const error = await beforeCall(fault, clock, signal);
      if (error !== undefined) throw error;
    }
    let result: T = await fn(signal);
    for (const fault of faults) result = afterCall(result, fault);
    return result;
  }

  return {
    get enabled() {
      return enabled;
    },
    enable: () => void (enabled = true),
    disable: () => void (enabled = false),
    configureFault(kind, given) {
      const fault = parseInjectedFault(kind, given);
      if (fault.enabled) injector.set(kind, fault);
      else injector.clear(kind);
    },
    clear: () => injector.clearAll(),
    execute,
    wrap:
      (fn) =>
      (...args) =>
        execute(() => fn(...args)),
    fetch: (base = globalThis.fetch) => faultyFetch(base, draw, clock),
    wrapRedis: (client) => wrapRedis(client, execute),
    wrapPg: (client) => wrapPg(client, execute),
    getStats: () => ({ enabled, seed, callCount, injected: injector.injected() }),
    decisions: () => log.read(),
    on: emitter.on,
  };
}

function afterCall<T>(result: T, { fault, injection, random, kind }: InjectedFault): T {
  if (kind === 'malformed_response') return malformed(result);
  if (kind === 'data_corruption') return corrupted(result, random);
  if (kind !== 'partial_failure') return result;
  const rest = withoutSome(result, fault.lostShare, random);
  if (rest === undefined) throw injectedError(injection, fault.errorMessage);
  return rest;
}
