import { type Clock, systemClock } from '@holdfast/foundation';

type Row = Readonly<Record<string, unknown>>;
/** Runs a statement on a probed pool and returns its rows. */
export type ProbedQuery = (sql: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

/** A leased connection. */
export interface ProbedConnection {
  readonly query: ProbedQuery;
  release(): unknown;
}

/** The interface of any pool. A missing operation is written as the pool's documentation describes it. */
export interface ProbedPool {
  readonly query: ProbedQuery;
  acquire(): Promise<ProbedConnection>;
  transaction(work: (query: ProbedQuery) => Promise<unknown>): Promise<unknown>;
  end(): Promise<unknown>;
}

/** What a probe asks of the pool that is opened for it. */
export interface ProbedPoolOptions {
  /** The server, past the proxy that breaks it. */
  readonly url: string;
  /** The most connections of the pool. */
  readonly max: number;
  /** How long a call may take, in milliseconds; set for every such option of the pool. */
  readonly timeoutMs: number;
  /** Whether the pool's error event has a listener, if it has such an event. */
  readonly listens: boolean;
}

/** Opens the pool that is probed. */
export type OpenPool = (settings: ProbedPoolOptions) => ProbedPool | Promise<ProbedPool>;

/** A Postgres to inject faults into, with a fault proxy in front of it. */
export interface ProbedServer {
  /** Bypasses the proxy. */
  readonly url: string;
  /** Through the proxy. */
  readonly proxiedUrl: string;
  kill(): Promise<unknown>;
  /** Resolves once the server responds. */
  start(): Promise<unknown>;
  freeze(): Promise<unknown>;
  thaw(): Promise<unknown>;
  /** Queries the server outside of every pool. */
  readonly ask: (sql: string) => Promise<readonly Row[]>;
  readonly link: {
    /** Drops all traffic in both directions, silently. */
    swallow(): void;
    /** Ends each connection after so many further bytes to the client. */
    cutReplies(afterBytes: number): void;
    heal(): Promise<unknown>;
  };
}

/**
 * `holds`: no caller noticed; `degrades`: callers got errors they have to handle; `hangs`: a call never settled;
 * `lies`: a call returned a wrong result; `dies`: the process ended.
 */
export type Verdict = 'holds' | 'degrades' | 'hangs' | 'lies' | 'dies';

/** How a pool fared in one probe. */
export interface PoolProbeResult {
  readonly probe: string;
  readonly verdict: Verdict;
  /** The observation, in a few words. */
  readonly seen: string;
}

/** What a probe works with. */
export interface ProbeContext {
  /** Opens the pool, by default with one connection past the proxy and 1 000 ms for each call. */
  readonly open: (changes?: Partial<ProbedPoolOptions>) => Promise<ProbedPool>;
  readonly server: ProbedServer;
  readonly clock: Clock;
}

/** A fault, and what a pool has to do about it. */
export interface Probe {
  readonly name: string;
  /** The injected fault, in a few words. */
  readonly fault: string;
  readonly run: (context: ProbeContext) => Promise<Omit<PoolProbeResult, 'probe'>>;
}

/** How long a call of a probed pool may take. */
export const PROBE_TIMEOUT_MS = 1_000;

/** `holds` if the condition is met, else `degrades`. */
export function holdsIf(condition: boolean, seen: string): Omit<PoolProbeResult, 'probe'> {
  return { verdict: condition ? 'holds' : 'degrades', seen };
}

/** Options of `runProbe`. */
export interface RunProbeOptions {
  /** Opens the pool that is probed. */
  readonly open: OpenPool;
  /** The server that the probe breaks. */
  readonly server: ProbedServer;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** After how many milliseconds an unfinished probe counts as hanging. Default 20 000. */
  readonly limitMs?: number;
}

/**
 * Injects one fault into one pool and reports the verdict. A pool that ends the process ends this one: run it in a
 * child process, and report that as `dies`. Hanging calls are not aborted, so end the child afterwards.
 */
export async function runProbe(probe: Probe, options: RunProbeOptions): Promise<PoolProbeResult> {
  const { open, server, clock = systemClock, limitMs = 20_000 } = options;
  const defaults = { url: server.url, max: 1, timeoutMs: PROBE_TIMEOUT_MS, listens: true };
  const context: ProbeContext = {
    open: async (changes) => open({ ...defaults, ...changes }),
    server,
    clock,
  };
  const run = (async () => probe.run(context))();
  const ended = await endedWithin(clock, limitMs, run);
  if (ended.kind === 'answered') return { probe: probe.name, ...ended.value };
  return ended.kind === 'pending'
    ? { probe: probe.name, verdict: 'hangs', seen: `no end within ${limitMs} ms` }
    : { probe: probe.name, verdict: 'degrades', seen: describeError(ended.error) };
}

/** An error's code, else its message. */
function describeError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'message' in error ? `"${String(error.message).slice(0, 60)}"` : 'an error';
}

/** How a call ended, or that it is still pending. */
type Ended<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'pending' };

/** Waits for a call to settle, for at most `withinMs`. */
export function endedWithin<T>(
  clock: Clock,
  withinMs: number,
  call: Promise<T>,
): Promise<Ended<T>> {
  return new Promise((resolve) => {
    const timer = clock.schedule(withinMs, () => resolve({ kind: 'pending' }));
    const settle = (ended: Ended<T>): void => {
      timer.cancel();
      resolve(ended);
    };
    call.then(
      (value) => settle({ kind: 'answered', value }),
      (error: unknown) => settle({ kind: 'failed', error }),
    );
  });
}

/** How a call ended, in words. */
export function describeEnded(ended: Ended<unknown>): string {
  if (ended.kind === 'failed') return describeError(ended.error);
  return ended.kind === 'answered' ? 'answered' : 'no answer';
}
