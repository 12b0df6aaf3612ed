import { type Clock, systemClock } from '@holdfast/foundation';
import { TimeoutError, withTimeout } from '@holdfast/resilience';

type Row = Readonly<Record<string, unknown>>;
export type ProbedQuery = (sql: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

/** A link on loan. */
export interface ProbedConnection {
  readonly query: ProbedQuery;
  release(): unknown;
}

/** Any pool, in the words of the probes. What it cannot do it does as its documentation says one does it. */
export interface ProbedPool {
  readonly query: ProbedQuery;
  acquire(): Promise<ProbedConnection>;
  transaction(work: (query: ProbedQuery) => Promise<unknown>): Promise<unknown>;
  end(): Promise<unknown>;
}

export interface ProbedPoolOptions {
  readonly url: string;
  readonly max: number;
  /** How long a call may take, in milliseconds: set wherever the pool has an option for it. */
  readonly timeoutMs: number;
  /** Whether the pool's own error event has a listener, where it has such an event. */
  readonly listens: boolean;
}

export type OpenPool = (settings: ProbedPoolOptions) => ProbedPool | Promise<ProbedPool>;

/** A Postgres that can be broken, with a proxy before it that can be broken too. */
export interface ProbedServer {
  /** Past the proxy. */
  readonly url: string;
  /** Through the proxy. */
  readonly proxiedUrl: string;
  kill(): Promise<unknown>;
  /** Resolves at its first answer. */
  start(): Promise<unknown>;
  freeze(): Promise<unknown>;
  thaw(): Promise<unknown>;
  /** Asks it beside every pool. */
  readonly ask: (sql: string) => Promise<readonly Row[]>;
  readonly link: {
    /** Nothing passes any more, either way, and nobody is told. */
    swallow(): void;
    /** So many bytes more reach the client on each connection, which ends then. */
    cutReplies(afterBytes: number): void;
    heal(): Promise<unknown>;
  };
}

/**
 * `holds`: nobody was harmed; `degrades`: callers got errors they have to handle; `hangs`: somebody never
 * got an answer; `lies`: somebody got a wrong one; `dies`: the process was ended.
 */
export type Verdict = 'holds' | 'degrades' | 'hangs' | 'lies' | 'dies';

export interface ProbeRow {
  readonly probe: string;
  readonly verdict: Verdict;
  /** What was seen, in a few words. */
  readonly seen: string;
}

export interface ProbeContext {
  readonly open: OpenPool;
  readonly server: ProbedServer;
  readonly clock: Clock;
}

export interface Probe {
  readonly name: string;
  /** What is done, in a few words. */
  readonly fault: string;
  readonly run: (context: ProbeContext) => Promise<Omit<ProbeRow, 'probe'>>;
}

export interface RunProbeOptions {
  readonly open: OpenPool;
  readonly server: ProbedServer;
  readonly clock?: Clock;
  /** When a probe that has not ended is called hanging, in milliseconds. Default 20 000. */
  readonly limitMs?: number;
}

/**
 * Does one harm to one pool and says what came of it. A pool that ends the process ends this one: run it in a
 * child, and call that verdict `dies`. What hangs is left hanging, so end the child afterwards.
 */
export async function runProbe(probe: Probe, options: RunProbeOptions): Promise<ProbeRow> {
  const { open, server, clock = systemClock, limitMs = 20_000 } = options;
  try {
    const found = await withTimeout(() => probe.run({ open, server, clock }), {
      name: probe.name,
      timeoutMs: limitMs,
      clock,
    });
    return { probe: probe.name, ...found };
  } catch (error) {
    const isLate = error instanceof TimeoutError;
    const seen = isLate ? `no end within ${limitMs} ms` : describeError(error);
    return { probe: probe.name, verdict: isLate ? 'hangs' : 'degrades', seen };
  }
}

/** An error as its caller can tell it apart: by its code, else by its message. */
export function describeError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'message' in error ? `"${String(error.message).slice(0, 60)}"` : 'an error';
}

/** How a call ended, or that it has not within the time. */
export type Ended<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'pending' };

/** Watches a call for so long, and leaves it alone then. */
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

/** An ending in words. */
export function inWords(ended: Ended<unknown>): string {
  if (ended.kind === 'failed') return describeError(ended.error);
  return ended.kind === 'answered' ? 'answered' : 'no answer';
}
