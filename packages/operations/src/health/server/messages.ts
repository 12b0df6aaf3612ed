import type { ProbeAnswer, ProbeName } from '../health.ts';

/** What the thread of the server is started with. */
export interface ProbeServerData {
  readonly port: number;
  readonly host: string;
  readonly paths: Readonly<Record<ProbeName, string>>;
  readonly answers: Readonly<Record<ProbeName, ProbeAnswer>>;
  /** One 32-bit number that the main thread raises every `beatMs`. */
  readonly beats: SharedArrayBuffer;
  readonly beatMs: number;
  readonly unreadyAfterMs: number;
  readonly deadAfterMs: number;
  readonly stack: boolean;
}

/** What the main thread sends: the answers, whenever one has changed. */
export type ToProbeServer = Readonly<Record<ProbeName, ProbeAnswer>>;

/** What the thread of the server sends. */
export type FromProbeServer =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'stalled'; readonly stalledMs: number; readonly stack: readonly string[] };

/** A stall that goes on. */
interface Stall {
  readonly stalledMs: number;
  readonly stack: readonly string[];
}

const OK = 200;
const UNAVAILABLE = 503;

/**
 * The answer of a probe while the main thread stalls: what it said last no longer holds. A stall makes the process
 * unready at once, because its requests wait; it is called dead only after much longer, because a restart would cost
 * more than most stalls.
 */
export function answerWhileStalled(
  probe: ProbeName,
  last: ProbeAnswer,
  stall: Stall,
  deadAfterMs: number,
): ProbeAnswer {
  const isDead = stall.stalledMs >= deadAfterMs;
  const isFailing = probe === 'live' ? isDead : probe !== 'startup' || last.statusCode !== OK;
  const output = `the main thread has not turned for ${Math.round(stall.stalledMs)} ms`;
  return {
    statusCode: isFailing ? UNAVAILABLE : OK,
    headers: last.headers,
    body: JSON.stringify({
      status: isFailing ? 'fail' : 'warn',
      output,
      checks: { 'main-thread': [{ status: 'fail', componentType: 'system', stack: stall.stack }] },
    }),
  };
}
