import {
  type Clock,
  type Subscribe,
  boolean,
  createEmitter,
  integer,
  objectWith,
  parseOptions,
  systemClock,
  type EventKinds,
} from '@holdfast/foundation';
import { type Decisions, createDecisionLog } from '../decision-log.ts';
import { FaultInjector, hidesLater } from '../fault-injector.ts';
import { replacementError, replacementOf, replacing } from './before-call.ts';
import { corrupted, malformed, withoutSome } from './damage/corruptions.ts';
import { damagedStream } from './damage/damaged-stream.ts';
import { createDraw } from './draw-faults.ts';
import { type Fetch, damaging } from './faulty-fetch.ts';
import { fetchWithFaults } from './fetch-call.ts';
import { type Injection, injectedError } from './injected-error.ts';
import {
  type InjectedFault,
  type InjectedFaultKind,
  type InjectedFaults,
  type ResolvedInjectedFault,
  injectedFaultKinds,
  parseInjectedFault,
} from './injected-faults.ts';
import { LateAnswers } from './late-answers.ts';
import { type AwsClient, wrapAws } from './clients/wrap-aws.ts';
import { type PgClient, wrapPg } from './clients/wrap-pg.ts';
import type { Execute } from './clients/wrap-members.ts';
import { type RedisClient, wrapRedis } from './clients/wrap-redis.ts';

/** Options of `createChaosFaultInjector`. */
export interface ChaosFaultInjectorOptions {
  /** The seed of every random decision: equal seeds and calls get equal faults. Default 1. */
  seed?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The events of a fault injector, by name. */
export interface ChaosFaultInjectorEvents {
  injected: Injection;
}

const eventKinds: EventKinds<ChaosFaultInjectorEvents> = { injected: true };

/** What an injector has seen and done, read at any time. */
export interface ChaosFaultInjectorStats {
  readonly enabled: boolean;
  readonly seed: number;
  /** Calls made while the injector was enabled. */
  readonly callCount: number;
  readonly injected: Readonly<Partial<Record<InjectedFaultKind, number>>>;
}

/**
 * Injects faults into calls inside the process, where no proxy reaches. What is drawn for a call depends only on the
 * seed, the kind and the number of the call; with a key, on the key and the number of the call with this key, whatever
 * other calls come in between. While it is disabled, calls pass unchanged.
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
    options?: { signal?: AbortSignal | undefined; key?: string },
  ): Promise<T>;
  /**
   * Returns a function that makes each call with the faults drawn for it. It passes its own `this` on, so that
   * `client.find = chaos.wrap(client.find)` keeps working.
   * @param options.key names the operation of a call, so that its faults are the same in every run.
   */
  wrap<Args extends unknown[], T>(
    fn: (...args: Args) => T | PromiseLike<T>,
    options?: { key?: (...args: Args) => string },
  ): (...args: Args) => Promise<T>;
  /**
   * Returns a `fetch` with the faults as HTTP has them: refusals, a 429, broken bodies. Default: the global `fetch`.
   * @param options.key names the operation of a request, so that its faults are the same in every run.
   */
  fetch(base?: Fetch, options?: { key?: (...args: Parameters<Fetch>) => string }): Fetch;
  /**
   * Returns an ioredis client with faults in its commands and pipelines; methods keep their types.
   * @param options.key names the operation of a command, given its name and arguments; of a pipeline, given `exec` and
   * such a list of each of its commands.
   */
  wrapRedis<Client extends RedisClient>(client: Client, options?: OperationKey): Client;
  /**
   * Returns a pg client or pool with faults in its queries; methods keep their types.
   * @param options.key names the operation of a query, given its arguments.
   */
  wrapPg<Client extends PgClient>(client: Client, options?: OperationKey): Client;
  /**
   * Returns a client of the AWS SDK v3 with faults in its commands; methods keep their types.
   * @param options.key names the operation of a command, given that command.
   */
  wrapAws<Client extends AwsClient>(client: Client, options?: OperationKey): Client;
  getStats(): ChaosFaultInjectorStats;
  /** What was injected and what was spared; equal for equal seeds and calls. */
  decisions(): Decisions;
  readonly on: Subscribe<ChaosFaultInjectorEvents>;
}

/** Names the operations of a client, so that their faults are the same in every run. */
export interface OperationKey {
  key?: (...operation: unknown[]) => string;
}

const shape = {
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

const enabledRule = boolean(true);

/**
 * Injects faults into calls of this process: functions, `fetch`, and clients of Redis, Postgres and AWS.
 * @throws InvalidOptionError
 */
export function createChaosFaultInjector(
  initiallyEnabled: boolean,
  options?: ChaosFaultInjectorOptions,
): ChaosFaultInjector {
  const { seed, clock } = parseOptions('createChaosFaultInjector', shape, options);
  const emitter = createEmitter('holdfast:chaos-fault-injector', eventKinds);
  const log = createDecisionLog();
  const injector = new FaultInjector<InjectedFaultKind, ResolvedInjectedFault>(injectedFaultKinds, {
    seed,
    log,
    hides: hidesLater(injectedFaultKinds, (kind) => replacing.has(kind)),
  });
  let enabled = enabledRule.parse(initiallyEnabled, 'enabled', 'createChaosFaultInjector');
  let callCount = 0;

  const onInjected = (injection: Injection): void => emitter.emit('injected', injection);
  const drawCall = createDraw({ injector, seed, onInjected });

  /** Draws the faults of the next call. */
  const draw = (key?: string): InjectedFault[] => {
    if (!enabled) return [];
    callCount += 1;
    return drawCall(callCount, key);
  };

  const late = new LateAnswers(clock);

  async function execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    given?: { signal?: AbortSignal | undefined; key?: string },
    connection?: object,
  ): Promise<T> {
    const signal = given?.signal;
    signal?.throwIfAborted();
    const faults = draw(given?.key);
    return late.deliver(callWith(faults, fn, { clock, signal }), faults, { signal, connection });
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
    execute: (fn, given) => execute(fn, given),
    wrap: (fn, given) =>
      function wrapped(this: unknown, ...args) {
        return execute(
          () => Reflect.apply(fn, this, args),
          given?.key && { key: given.key(...args) },
        );
      },
    fetch: (base = globalThis.fetch, given) =>
      fetchWithFaults(base, { draw, clock, late, key: given?.key }),
    wrapRedis: (client, given) => wrapRedis(client, executeBy(execute, given)),
    wrapPg: (client, given) => wrapPg(client, executeBy(execute, given)),
    wrapAws: (client, given) => wrapAws(client, executeBy(execute, given)),
    getStats: () => ({ enabled, seed, callCount, injected: injector.injected() }),
    decisions: () => log.read(),
    on: emitter.on,
  };
}

type ExecuteKeyed = (
  fn: () => Promise<unknown>,
  given: { signal: AbortSignal | undefined; key?: string },
  connection?: object,
) => Promise<unknown>;

function executeBy(execute: ExecuteKeyed, { key }: OperationKey = {}): Execute {
  return (fn, connection, signal, operation = []) =>
    execute(fn, { signal, ...(key && { key: key(...operation) }) }, connection);
}

/** Makes the call with the faults that were drawn for it, all but its delay. */
async function callWith<T>(
  faults: readonly InjectedFault[],
  fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal | undefined },
): Promise<T> {
  try {
    const replacement = replacementOf(faults);
    if (replacement !== undefined) throw await replacementError(replacement, clock, signal);
    let result: T = await fn(signal);
    for (const fault of faults) result = afterCall(result, fault);
    return result;
  } finally {
    for (const fault of faults) fault.unfelt();
  }
}

function afterCall<T>(result: T, injected: InjectedFault): T;
function afterCall(result: unknown, injected: InjectedFault): unknown {
  const { fault, injection, random, kind } = injected;
  if (!damaging.has(kind)) return result;
  injected.felt();
  const stream = damagedStream(result, injected);
  if (stream !== undefined) return stream;
  if (kind === 'malformed_response') return malformed(result);
  if (kind === 'data_corruption') return corrupted(result, random);
  const rest = withoutSome(result, fault.lostShare, random);
  if (rest === undefined) throw injectedError(injection, fault.errorMessage);
  return rest;
}
