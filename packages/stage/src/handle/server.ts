import type { FaultProxy } from '@holdfast/faults';
import {
  abortable,
  boolean,
  type Clock,
  createEmitter,
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
import { type ImpairOptions, parseImpairment } from '../limits/impairment.ts';
import { type UndoLimit, createServerLimits } from '../limits/server-limits.ts';
import type { Readiness, ServerDriver, ServerInstance } from './driver.ts';
import type {
  DirectAddress,
  FillOptions,
  LimitOptions,
  ServerHandle,
  ServerState,
  StageFault,
  StartOptions,
} from './handle.ts';
import { type StartProgress, waitForAnswer } from './readiness.ts';
import { createRestarts } from './restarts.ts';
import { type ServerClock, createFixedClock, createServerClock } from './server-clock.ts';
import {
  type InstanceEvent,
  type InstanceState,
  type StageTransition,
  transition,
} from './server-state.ts';

interface StagedServerDeps {
  readonly name: string;
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly direct: DirectAddress;
  /** The proxy at the server's address; absent when clients connect to the server itself. */
  readonly link: FaultProxy | undefined;
  readonly clock: Clock;
  /** How long a start may take until its first answer. */
  readonly readyTimeoutMs: number;
  /** How long an orderly stop may take, and how long every other verb waits for its effect. */
  readonly stopTimeoutMs: number;
}

const whatRule = oneOf(['disk', 'memory'], 'disk');
const fillShape = {
  leaveBytes: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 }),
};
/** The smallest limit that a container engine accepts. */
const MIN_MEMORY_BYTES = 6_291_456;
const limitShape = {
  memoryBytes: integer({ min: MIN_MEMORY_BYTES, max: Number.MAX_SAFE_INTEGER }),
  restart: boolean(true),
};

/** How much of the log an error quotes. */
const QUOTED_LOG_CHARACTERS = 1_000;

/** A server of a stage, not started yet. Its verbs take effect one after the other, in the order of calls. */
export class StagedServer implements ServerHandle {
  readonly name: string;
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly direct: DirectAddress;
  readonly clock: ServerClock;
  readonly #deps: StagedServerDeps;
  readonly #driver: ServerDriver;
  readonly #limits: ReturnType<typeof createServerLimits>;
  readonly #restarts: ReturnType<typeof createRestarts>;
  readonly #emitter = createEmitter<{ transition: StageTransition }>('holdfast:stage', {
    transition: true,
  });
  readonly #closing = new AbortController();
  #state: InstanceState = { kind: 'stopped' };
  #lastVerb: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;
  #restartsByItself = false;
  /** Instances that a verb is ending or has ended. */
  readonly #ending = new WeakSet<ServerInstance>();

  constructor(deps: StagedServerDeps, driver: ServerDriver) {
    ({
      name: this.name,
      url: this.url,
      host: this.host,
      port: this.port,
      direct: this.direct,
    } = deps);
    this.#deps = deps;
    this.#driver = driver;
    this.#limits = createServerLimits(deps.name, driver);
    this.#restarts = createRestarts(deps.clock);
    this.clock =
      driver.clock === undefined
        ? createFixedClock(deps.name)
        : createServerClock(deps.name, driver.clock, (work) => this.#inTurn(work));
  }

  get link(): FaultProxy {
    if (this.#deps.link === undefined) throw new StageLinkError(this.name);
    return this.#deps.link;
  }

  get state(): ServerState {
    return this.#state.kind;
  }

  kill(): Promise<void> {
    return this.#inTurn(() => this.#kill(this.#require('kill', 'running', 'frozen')));
  }

  stop(): Promise<void> {
    return this.#inTurn(async () => {
      const instance = this.#require('stop', 'running');
      this.#ending.add(instance);
      await this.#waitFor('could not be told to stop', (limit) => instance.terminate(limit));
      const { clock, stopTimeoutMs } = this.#deps;
      if (!(await settlesWithin(clock, stopTimeoutMs, instance.ended))) await this.#kill(instance);
    });
  }

  start({ until = 'ready', signal }: StartOptions = {}): Promise<void> {
    return this.#inTurn(() => this.#start(until, this.#untilClosing(signal)));
  }

  freeze(): Promise<void> {
    return this.#inTurn(async () => {
      const instance = this.#require('freeze', 'running');
      await this.#whileOpen('was told to freeze, but went on', (limit) => instance.freeze(limit));
      this.#apply({ kind: 'frozen', instance });
    });
  }

  thaw(): Promise<void> {
    return this.#inTurn(async () => {
      const instance = this.#require('thaw', 'frozen');
      await this.#whileOpen('was told to thaw, but stayed frozen', (limit) => instance.thaw(limit));
      this.#apply({ kind: 'thawed', instance });
    });
  }

  fill(what: 'disk' | 'memory', options: FillOptions = {}): Promise<StageFault> {
    const owner = `${this.name}.fill`;
    const { leaveBytes } = parseOptions(owner, fillShape, options);
    whatRule.parse(what, 'what', owner);
    return this.#inject('fill', (limit) =>
      what === 'disk'
        ? this.#limits.fillDisk(leaveBytes, limit)
        : this.#limits.fillMemory(leaveBytes, limit),
    );
  }

  async limit(options: LimitOptions): Promise<StageFault> {
    const { memoryBytes, restart } = parseOptions(`${this.name}.limit`, limitShape, options);
    return this.#inject('limit', async (limit) => {
      const undo = await this.#limits.limit(memoryBytes, limit);
      this.#restartsByItself = restart;
      return async (later) => {
        this.#restartsByItself = false;
        await undo(later);
      };
    });
  }

  disconnect(): Promise<StageFault> {
    return this.#inject('disconnect', (limit) => this.#limits.disconnect(limit));
  }

  async impair(options: ImpairOptions): Promise<StageFault> {
    const impairment = parseImpairment(`${this.name}.impair`, options);
    return this.#inject('impair', (limit) => this.#limits.impair(impairment, limit));
  }

  waitForRestart({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const { readyTimeoutMs } = this.#deps;
    const late = (): Error =>
      new ServerTimeoutError(this.name, readyTimeoutMs, 'neither ended by itself nor came back');
    return this.#restarts.next(readyTimeoutMs, late, this.#untilClosing(signal));
  }

  log(): Promise<string> {
    return this.#whileOpen('did not return its log', (limit) => this.#driver.log(limit));
  }

  /** Ends the server, or leaves it running if it ran before the stage. For the stage alone. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  #apply(event: InstanceEvent): void {
    const from = this.state;
    this.#state = transition(this.#state, event);
    const to = this.state;
    const atMs = this.#deps.clock.now();
    if (from !== to) this.#emitter.emit('transition', { server: this.name, from, to, atMs });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const verb = this.#lastVerb.then(() => {
      this.#closing.signal.throwIfAborted();
      return work();
    });
    this.#lastVerb = verb.catch(() => undefined);
    return verb;
  }

  #untilClosing(signal: AbortSignal | undefined): AbortSignal {
    const closing = this.#closing.signal;
    return AbortSignal.any(signal ? [signal, closing] : [closing]);
  }

  #require(verb: string, ...needed: readonly ServerState[]): ServerInstance {
    const state = this.#state;
    if (state.kind === 'stopped' || !needed.includes(state.kind)) {
      throw new StageStateError(this.name, verb, state.kind, needed);
    }
    return state.instance;
  }

  /** @param failure how the error describes an effect that is not seen in time. */
  #waitFor<T>(
    failure: string,
    work: (limit: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const { clock, stopTimeoutMs } = this.#deps;
    const late = (): Error => new ServerTimeoutError(this.name, stopTimeoutMs, failure);
    // Bounded whatever the work does: a frozen disk or engine keeps it from noticing its signal.
    return withDeadline(clock, stopTimeoutMs, signal, late, (limit) =>
      abortable(work(limit), limit),
    );
  }

  #whileOpen<T>(failure: string, work: (limit: AbortSignal) => Promise<T>): Promise<T> {
    return this.#waitFor(failure, work, this.#closing.signal);
  }

  #kill(instance: ServerInstance): Promise<void> {
    this.#ending.add(instance);
    return this.#waitFor('was sent SIGKILL, but did not end', async (limit) => {
      await instance.kill(limit);
      await instance.ended;
    });
  }

  async #start(until: Readiness, signal: AbortSignal): Promise<void> {
    const { clock, link, readyTimeoutMs } = this.#deps;
    if (this.state !== 'stopped') {
      throw new StageStateError(this.name, 'start', this.state, ['stopped']);
    }
    const progress: StartProgress = {};
    const late = (): Error =>
      new ServerTimeoutError(this.name, readyTimeoutMs, `was not ${until}`, progress.lastFailure);
    await withDeadline(clock, readyTimeoutMs, signal, late, async (limit) => {
      const instance = await this.#driver.launch(limit);
      void this.#follow(instance, progress);
      // The link refuses connections for as long as the server itself would.
      const probe = async (patience: AbortSignal): Promise<Readiness> => {
        const readiness = await this.#driver.probe(patience);
        if (progress.ended === undefined) await link?.accept();
        return readiness;
      };
      try {
        const result = await waitForAnswer(clock, probe, until, progress, limit);
        if (result === 'ended') throw await this.#startError(progress, limit);
      } catch (error) {
        await this.#kill(instance);
        throw error;
      }
      this.#apply({ kind: 'answered', instance });
    });
  }

  /** Waits for the end of an instance; restarts it if it has ended by itself under a limit. */
  async #follow(instance: ServerInstance, progress: StartProgress): Promise<void> {
    progress.ended = await instance.ended;
    this.#deps.link?.refuse();
    this.#apply({ kind: 'ended', instance });
    if (!this.#restartsByItself || this.#ending.has(instance)) return;
    this.#restarts.record(this.#inTurn(() => this.#start('ready', this.#closing.signal)));
  }

  async #startError(progress: StartProgress, limit: AbortSignal): Promise<Error> {
    const printed = (await this.#driver.log(limit)).slice(-QUOTED_LOG_CHARACTERS).trim();
    const ended = progress.ended ?? 'unknown';
    return new ServerStartError(this.name, ended, printed, progress.lastFailure);
  }

  async #close(): Promise<void> {
    const driver = this.#driver;
    this.#closing.abort(new StageClosedError(this.name));
    try {
      if (driver.detach === undefined && this.#state.kind !== 'stopped') {
        await this.#kill(this.#state.instance);
      }
      await settlesWithin(this.#deps.clock, this.#deps.stopTimeoutMs, this.#lastVerb);
      await this.#waitFor('could not be left running', async (limit) => driver.detach?.(limit));
      // The stage does not follow a detached server any further.
      if (this.#state.kind !== 'stopped') {
        this.#apply({ kind: 'ended', instance: this.#state.instance });
      }
    } finally {
      await this.#waitFor('could not be removed', (limit) => driver.cleanUp(limit));
    }
  }

  #inject(verb: string, apply: (limit: AbortSignal) => Promise<UndoLimit>): Promise<StageFault> {
    return this.#inTurn(async () => {
      this.#require(verb, 'running', 'frozen');
      return this.#faultOf(await this.#whileOpen('could not be limited', apply));
    });
  }

  #faultOf(undo: UndoLimit): StageFault {
    let undone: Promise<void> | undefined;
    const once = (): Promise<void> =>
      (undone ??= this.#inTurn(() => this.#whileOpen('could not undo a limit', undo)));
    return { undo: once, [Symbol.asyncDispose]: once };
  }
}
