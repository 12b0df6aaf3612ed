import type { FaultProxy } from '@holdfast/faults';
import {
  abortable,
  type Clock,
  createEmitter,
  boolean,
  integer,
  oneOf,
  parseOptions,
  settlesWithin,
  withDeadline,
} from '@holdfast/foundation';
import {
  ServerStartError,
  ServerTimeoutError,
  StageClosedError,
  StageLinkError,
  StageStateError,
} from '../errors.ts';
import { parseImpairment } from '../limits/impairment.ts';
import { type Readiness, type StartProgress, waitForAnswer } from './readiness.ts';
import {
  type DiskControl,
  type MemoryControl,
  type NetworkControl,
  type PacketControl,
  type StageFault,
  createServerLimits,
} from '../limits/server-limits.ts';
import { createRestarts } from './restarts.ts';
import { type ClockControl, createFixedClock, createServerClock } from './server-clock.ts';
import type {
  DirectAddress,
  FillOptions,
  LimitOptions,
  ServerHandle,
  ServerState,
  StartOptions,
} from '../stage.ts';

/** One run of a server, from launch to end, whatever it runs as. */
export interface ServerInstance {
  /** Resolves when it has ended, with how, in words; never rejects. */
  readonly ended: Promise<string>;
  /** Asks it to end in an orderly way; its end is not waited for. */
  terminate(signal: AbortSignal): Promise<void>;
  /** Ends it at once; its end is not waited for. */
  kill(signal: AbortSignal): Promise<void>;
  /** Resolves when it really stands still. */
  freeze(signal: AbortSignal): Promise<void>;
  /** Resolves when it really runs again. */
  thaw(signal: AbortSignal): Promise<void>;
}

/** What a mode provides for one server: everything that depends on what it runs as. */
export interface ServerDriver {
  /** Starts it on its address with its data; its first answer is not waited for. */
  launch(signal: AbortSignal): Promise<ServerInstance>;
  /** One protocol exchange; rejects when nobody answers. */
  probe(signal: AbortSignal): Promise<Readiness>;
  log(signal: AbortSignal): Promise<string>;
  /** Absent where its memory cannot be bounded. */
  readonly memory?: MemoryControl | undefined;
  /** Absent where its disk is that of the machine. */
  readonly disk?: DiskControl | undefined;
  /** Absent where its network is that of the machine. */
  readonly network?: NetworkControl | undefined;
  /** Absent where its packets are among those of the machine. */
  readonly packets?: PacketControl | undefined;
  /** Absent where it reads the machine's clock. */
  readonly clock?: ClockControl | undefined;
  /** For one that was there before the stage: leaves it running, instead of ending it. */
  detach?(signal: AbortSignal): Promise<void>;
  /** Removes what is left once it has ended: folders, containers, reservations. */
  cleanUp(signal: AbortSignal): Promise<void>;
}

export interface ServerOptions {
  readonly name: string;
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly direct: DirectAddress;
  /** Stands at the address of the server; absent where the server itself does. */
  readonly link: FaultProxy | undefined;
  readonly clock: Clock;
  /** How long a start may take to its first answer. */
  readonly readyTimeoutMs: number;
  /** How long an orderly stop may take, and how long every other verb waits for its effect. */
  readonly stopTimeoutMs: number;
}

/** A handle, and what only its stage may do with it. */
export interface StagedServer {
  readonly handle: ServerHandle;
  close(): Promise<void>;
}

/** Published as `holdfast:stage:transition`, so that a report can mark the moments of a fault. */
export interface StageTransition {
  readonly server: string;
  readonly from: ServerState;
  readonly to: ServerState;
  /** Reading of the stage's clock, in milliseconds. */
  readonly atMs: number;
}

/**
 * ```
 *    ┌────────ended────────┬────────ended────────┐
 *    ▼                     │                     │
 * stopped ───answered──▶ running ───frozen──▶ frozen
 *                          ▲                     │
 *                          └───────thawed────────┘
 * ```
 * `ended` comes from the server itself, so that a crash nobody asked for is seen too.
 */
type State =
  | { readonly is: 'stopped' }
  | { readonly is: 'running'; readonly life: ServerInstance }
  | { readonly is: 'frozen'; readonly life: ServerInstance };

type Change = {
  readonly life: ServerInstance;
  readonly type: 'answered' | 'frozen' | 'thawed' | 'ended';
};

function transition(state: State, { type, life }: Change): State {
  if (type === 'answered') return { is: 'running', life };
  // A life that has been replaced, or has ended already, changes nothing any more.
  if (state.is === 'stopped' || state.life !== life) return state;
  if (type === 'ended') return { is: 'stopped' };
  return { is: type === 'frozen' ? 'frozen' : 'running', life };
}

const whatRule = oneOf(['disk', 'memory'], 'disk');
const fillShape = {
  leaveBytes: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 }),
};
/** The engine bounds no container to less. */
const LEAST_MEMORY_BYTES = 6_291_456;
const limitShape = {
  memoryBytes: integer({ min: LEAST_MEMORY_BYTES, max: Number.MAX_SAFE_INTEGER }),
  restart: boolean(true),
};

/** How much of the log an error quotes. */
const QUOTED_LOG_CHARACTERS = 1_000;

/** A server that has not been started yet. Its verbs take effect one after the other, as called. */
export function createStagedServer(server: ServerOptions, driver: ServerDriver): StagedServer {
  const { name, link, clock, readyTimeoutMs, stopTimeoutMs } = server;
  const announcer = createEmitter<{ transition: StageTransition }>('holdfast:stage');
  const closing = new AbortController();
  let state: State = { is: 'stopped' };
  let lastVerb: Promise<unknown> = Promise.resolve();
  let closed: Promise<void> | undefined;
  const { memory, disk, network, packets } = driver;
  const squeeze = createServerLimits(name, { memory, disk, network, packets });
  const restarts = createRestarts(clock);
  const ownClock =
    driver.clock === undefined
      ? createFixedClock(name)
      : createServerClock(name, driver.clock, (work) => inTurn(work));
  let restartsByItself = false;
  /** Lives that a verb ends, or has ended. */
  const ending = new WeakSet<ServerInstance>();

  const apply = (change: Change): void => {
    const from = state.is;
    state = transition(state, change);
    const to = state.is;
    if (from !== to) announcer.emit('transition', { server: name, from, to, atMs: clock.now() });
  };

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = lastVerb.then(() => {
      closing.signal.throwIfAborted();
      return work();
    });
    lastVerb = turn.catch(() => undefined);
    return turn;
  };

  const lifeIn = (verb: string, ...needed: readonly ServerState[]): ServerInstance => {
    if (state.is === 'stopped' || !needed.includes(state.is)) {
      throw new StageStateError(name, verb, state.is, needed);
    }
    return state.life;
  };

  /** Waits for the effect of a verb; `seen` says what it would be like not to see it. */
  const waitFor = <T>(
    seen: string,
    work: (limit: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> => {
    const late = (): Error => new ServerTimeoutError(name, stopTimeoutMs, seen);
    return withDeadline(clock, stopTimeoutMs, signal, late, work);
  };

  const end = (life: ServerInstance): Promise<void> => {
    ending.add(life);
    return waitFor('was sent SIGKILL, but did not end', async (limit) => {
      await life.kill(limit);
      await abortable(life.ended, limit);
    });
  };

  const start = async (until: Readiness, signal: AbortSignal): Promise<void> => {
    if (state.is !== 'stopped') throw new StageStateError(name, 'start', state.is, ['stopped']);
    const watch: StartProgress = {};
    const late = (): Error =>
      new ServerTimeoutError(name, readyTimeoutMs, `was not ${until}`, watch.lastFailure);
    await withDeadline(clock, readyTimeoutMs, signal, late, async (limit) => {
      const life = await driver.launch(limit);
      const follow = async (): Promise<void> => {
        watch.ended = await life.ended;
        link?.refuse();
        apply({ type: 'ended', life });
        if (restartsByItself && !ending.has(life)) {
          restarts.record(inTurn(() => start('ready', closing.signal)));
        }
      };
      void follow();
      // Whoever connects meets what the server itself would show: refusal, until it listens.
      const probe = async (patience: AbortSignal): Promise<Readiness> => {
        const readiness = await driver.probe(patience);
        if (watch.ended === undefined) await link?.accept();
        return readiness;
      };
      try {
        const came = await waitForAnswer(clock, probe, until, watch, limit);
        if (came === 'ended') throw await startError(watch, limit);
      } catch (error) {
        await end(life);
        throw error;
      }
      apply({ type: 'answered', life });
    });
  };

  const startError = async (watch: StartProgress, limit: AbortSignal): Promise<Error> => {
    const printed = (await driver.log(limit)).slice(-QUOTED_LOG_CHARACTERS).trim();
    return new ServerStartError(name, watch.ended ?? 'unknown', printed, watch.lastFailure);
  };

  const close = async (): Promise<void> => {
    closing.abort(new StageClosedError(name));
    try {
      if (driver.detach === undefined && state.is !== 'stopped') await end(state.life);
      await lastVerb;
      await waitFor('could not be given back', async (limit) => driver.detach?.(limit));
      // What it does from now on is no longer the stage's affair.
      if (state.is !== 'stopped') apply({ type: 'ended', life: state.life });
    } finally {
      await waitFor('could not be removed', (limit) => driver.cleanUp(limit));
    }
  };

  const harm = (undo: (signal: AbortSignal) => Promise<void>): StageFault => {
    let undone: Promise<void> | undefined;
    const once = (): Promise<void> =>
      (undone ??= inTurn(() => waitFor('did not give back what was taken', undo, closing.signal)));
    return { undo: once, [Symbol.asyncDispose]: once };
  };
  const squeezed = (
    verb: string,
    take: (limit: AbortSignal) => Promise<(limit: AbortSignal) => Promise<void>>,
  ): Promise<StageFault> =>
    inTurn(async () => {
      lifeIn(verb, 'running', 'frozen');
      return harm(await waitFor('could not be squeezed', take, closing.signal));
    });

  const handle: ServerHandle = {
    name,
    url: server.url,
    host: server.host,
    port: server.port,
    direct: server.direct,
    get link() {
      if (link === undefined) throw new StageLinkError(name);
      return link;
    },
    clock: ownClock,
    get state() {
      return state.is;
    },
    kill: () => inTurn(() => end(lifeIn('kill', 'running', 'frozen'))),
    stop: () =>
      inTurn(async () => {
        const life = lifeIn('stop', 'running');
        ending.add(life);
        await waitFor('could not be told to stop', (limit) => life.terminate(limit));
        if (!(await settlesWithin(clock, stopTimeoutMs, life.ended))) await end(life);
      }),
    start: ({ until = 'ready', signal }: StartOptions = {}) =>
      inTurn(() =>
        start(until, AbortSignal.any(signal ? [signal, closing.signal] : [closing.signal])),
      ),
    freeze: () =>
      inTurn(async () => {
        const life = lifeIn('freeze', 'running');
        const seen = 'was told to freeze, but went on';
        await waitFor(seen, (limit) => life.freeze(limit), closing.signal);
        apply({ type: 'frozen', life });
      }),
    thaw: () =>
      inTurn(async () => {
        const life = lifeIn('thaw', 'frozen');
        const seen = 'was told to thaw, but stood still';
        await waitFor(seen, (limit) => life.thaw(limit), closing.signal);
        apply({ type: 'thawed', life });
      }),
    fill: (what, options: FillOptions = {}) => {
      const { leaveBytes } = parseOptions(`${name}.fill`, fillShape, options);
      whatRule.parse(what, 'what', `${name}.fill`);
      return squeezed('fill', (limit) =>
        what === 'disk' ? squeeze.fillDisk(leaveBytes) : squeeze.fillMemory(leaveBytes, limit),
      );
    },
    limit: async (options: LimitOptions) => {
      const { memoryBytes, restart } = parseOptions(`${name}.limit`, limitShape, options);
      const taken = await squeezed('limit', async (limit) => {
        const undo = await squeeze.limit(memoryBytes, limit);
        restartsByItself = restart;
        return async (later) => {
          restartsByItself = false;
          await undo(later);
        };
      });
      return taken;
    },
    disconnect: () => squeezed('disconnect', (limit) => squeeze.disconnect(limit)),
    impair: async (options) => {
      const impairment = parseImpairment(`${name}.impair`, options);
      return squeezed('impair', (limit) => squeeze.impair(impairment, limit));
    },
    waitForRestart: ({ signal } = {}) => {
      const seen = 'neither ended by itself nor came back';
      const late = (): Error => new ServerTimeoutError(name, readyTimeoutMs, seen);
      const either = AbortSignal.any(signal ? [signal, closing.signal] : [closing.signal]);
      return restarts.next(readyTimeoutMs, late, either);
    },
    log: () => waitFor('did not hand out its log', (limit) => driver.log(limit), closing.signal),
  };
  return { handle, close: () => (closed ??= close()) };
}
