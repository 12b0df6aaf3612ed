import { Worker } from 'node:worker_threads';
import {
  type Clock,
  type Timer,
  boolean,
  integer,
  object,
  objectWith,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import { ProbeServerError } from '../errors.ts';
import type { Health, ProbeAnswer, ProbeName } from '../health.ts';
import type { FromProbeServer, ProbeServerData } from './messages.ts';

/** Options of `serveHealth`. All times in milliseconds. */
export interface ProbeServerOptions {
  /** Default 9 090; 0: any free port. */
  port?: number;
  /** Default `0.0.0.0`, because an orchestrator asks from outside. */
  host?: string;
  /** The paths of the probes. */
  paths?: {
    /** Default `/livez`. */
    live?: string;
    /** Default `/readyz`. */
    ready?: string;
    /** Default `/startupz`. */
    startup?: string;
    /** Default `/health`. */
    health?: string;
  };
  /** How often the main thread shows that it turns, in milliseconds. Default 50. */
  beatMs?: number;
  /** A main thread that has not turned for so long makes the process unready, in milliseconds. Default 1 000. */
  unreadyAfterMs?: number;
  /** And not alive, so that it is restarted, in milliseconds. Default 60 000. */
  deadAfterMs?: number;
  /** Whether the stack of a stall is read, by the inspector. Default true. */
  stack?: boolean;
  /** How long the server may take to listen, in milliseconds. Default 10 000. */
  startTimeoutMs?: number;
  /** The source of time of the main thread. Default: the system clock. */
  clock?: Clock;
}

/** The server of the probes, on a thread of its own. */
export interface ProbeServer {
  readonly port: number;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const MAX_WAIT_MS = 3_600_000;
const RESTART_MS = 1_000;
const duration = (absent: number, max = MAX_WAIT_MS): ReturnType<typeof integer> =>
  integer({ min: 1, max, default: absent });
const path = (absent: string): ReturnType<typeof string> =>
  string({ maxLength: 200, default: absent });
const schema = {
  port: integer({ min: 0, max: 65_535, default: 9_090 }),
  host: string({ maxLength: 255, default: '0.0.0.0' }),
  paths: object({
    live: path('/livez'),
    ready: path('/readyz'),
    startup: path('/startupz'),
    health: path('/health'),
  }),
  beatMs: duration(50, 10_000),
  unreadyAfterMs: duration(1_000),
  deadAfterMs: duration(60_000),
  stack: boolean(true),
  startTimeoutMs: duration(10_000),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Serves the probes from a thread of its own, which answers also while the main thread is blocked.
 * @throws InvalidOptionError, ProbeServerError
 */
export async function serveHealth(
  health: ServedHealth,
  options: ProbeServerOptions = {},
): Promise<ProbeServer> {
  const { clock, startTimeoutMs, ...settings } = parseOptions('serveHealth', schema, options);
  const server = new ThreadedServer(health, settings, clock);
  const timer = clock.schedule(startTimeoutMs, () => server.giveUp(startTimeoutMs));
  try {
    await server.listening;
    return server;
  } catch (error) {
    await server.close();
    throw error;
  } finally {
    timer.cancel();
  }
}

type ServedHealth = Pick<Health, 'answer' | 'noteStall' | 'noteServerFailure'>;
type Settings = Omit<ProbeServerData, 'answers' | 'beats'>;

class ThreadedServer implements ProbeServer {
  readonly listening: Promise<void>;
  readonly #health: ServedHealth;
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #beats = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #beatView = new Int32Array(this.#beats);
  readonly #start = Promise.withResolvers<void>();
  #worker: Worker | undefined;
  #port = 0;
  #sent = '';
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(health: ServedHealth, settings: Settings, clock: Clock) {
    this.#health = health;
    this.#settings = settings;
    this.#clock = clock;
    this.#port = settings.port;
    this.listening = this.#start.promise;
    this.#launch();
    this.#beat();
  }

  get port(): number {
    return this.#port;
  }

  giveUp(afterMs: number): void {
    this.#start.reject(new ProbeServerError(`it does not listen after ${afterMs} ms`));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#worker?.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #launch(): void {
    const answers = this.#answers();
    this.#sent = JSON.stringify(answers);
    const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    const main = new URL(`./probe-server-main${extension}`, import.meta.url);
    const workerData: ProbeServerData = {
      ...this.#settings,
      port: this.#port,
      answers,
      beats: this.#beats,
    };
    // What this process was started with may not be meant for a thread.
    const worker = new Worker(main, { workerData, name: 'health-probes', execArgv: [] });
    this.#worker = worker;
    let failure: unknown;
    worker.unref();
    worker.on('message', (message: FromProbeServer) => this.#take(message));
    worker.on('error', (error) => (failure = error));
    worker.on('exit', (code) => this.#onExit(failure ?? new Error(`exit code ${code}`)));
  }

  #take(message: FromProbeServer): void {
    if (message.kind === 'stalled') {
      this.#health.noteStall(message.stalledMs, message.stack);
      return;
    }
    this.#port = message.port;
    this.#start.resolve();
  }

  #onExit(cause: unknown): void {
    if (this.#isClosed) return;
    const error = new ProbeServerError(String(cause), cause);
    // Before it has ever listened, the caller of serveHealth is told instead.
    this.#start.reject(error);
    this.listening.then(
      () => {
        this.#health.noteServerFailure(error);
        const restart = (): void => {
          if (!this.#isClosed) this.#launch();
        };
        this.#clock.schedule(RESTART_MS, restart, { holdsProcess: false });
      },
      () => {},
    );
  }

  #beat(): void {
    Atomics.add(this.#beatView, 0, 1);
    const answers = this.#answers();
    const text = JSON.stringify(answers);
    if (text !== this.#sent) {
      this.#sent = text;
      this.#worker?.postMessage(answers, []);
    }
    const beat = (): void => this.#beat();
    this.#timer = this.#clock.schedule(this.#settings.beatMs, beat, { holdsProcess: false });
  }

  #answers(): Readonly<Record<ProbeName, ProbeAnswer>> {
    const health = this.#health;
    return {
      live: health.answer('live'),
      ready: health.answer('ready'),
      startup: health.answer('startup'),
      health: health.answer('health'),
    };
  }
}
