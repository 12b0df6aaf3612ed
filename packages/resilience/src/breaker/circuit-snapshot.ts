import { type Clock, integer, oneOf, optional, parseOptions } from '@holdfast/foundation';
import { type CircuitState, closed } from './circuit-state.ts';

/**
 * A circuit as plain data, for another process or the next one. Times are by the wall clock, the only one that
 * processes share. A half-open circuit is exported as an open one whose time is over.
 */
export interface CircuitSnapshot {
  readonly version: 1;
  readonly state: 'closed' | 'open' | 'isolated' | 'metrics-only';
  /** When the circuit entered that state. */
  readonly sinceEpochMs: number;
  /** When an open circuit admits probes. */
  readonly untilEpochMs?: number;
  readonly openings: number;
  readonly consecutiveFailures: number;
}

const epoch = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

const schema = {
  version: integer({ min: 1, max: 1 }),
  state: oneOf(['closed', 'open', 'isolated', 'metrics-only']),
  sinceEpochMs: epoch,
  untilEpochMs: optional(epoch),
  openings: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  consecutiveFailures: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
};

/** @param sinceEpochMs when the state began, by the wall clock. */
export function takeSnapshot(
  state: CircuitState,
  sinceEpochMs: number,
  consecutiveFailures: number,
  clock: Clock,
): CircuitSnapshot {
  const common = {
    version: 1,
    sinceEpochMs: Math.round(sinceEpochMs),
    consecutiveFailures,
  } as const;
  if (state.kind === 'open' || state.kind === 'half-open') {
    const leftMs = state.kind === 'open' ? Math.max(0, state.untilMs - clock.now()) : 0;
    const untilEpochMs = Math.round(clock.epochMs() + leftMs);
    return { ...common, state: 'open', untilEpochMs, openings: state.openings };
  }
  return { ...common, state: state.kind, openings: 0 };
}

interface RestoredCircuit {
  readonly state: CircuitState;
  readonly sinceEpochMs: number;
  readonly consecutiveFailures: number;
}

/**
 * The current state of a snapshot. A step of the wall clock in between cannot keep the circuit open for longer
 * than `maxOpenDurationMs`.
 * @throws InvalidOptionError
 */
export function parseSnapshot(
  given: unknown,
  clock: Clock,
  maxOpenDurationMs: number,
): RestoredCircuit {
  const snapshot = parseOptions('circuitBreaker.hydrate', schema, given, 'snapshot');
  const { sinceEpochMs, consecutiveFailures } = snapshot;
  return {
    state: stateOf(snapshot, clock, maxOpenDurationMs),
    sinceEpochMs,
    consecutiveFailures,
  };
}

function stateOf(
  snapshot: { state: CircuitSnapshot['state']; untilEpochMs: number | undefined; openings: number },
  clock: Clock,
  maxOpenDurationMs: number,
): CircuitState {
  const { state, untilEpochMs, openings } = snapshot;
  if (state === 'closed') return closed;
  if (state !== 'open') return { kind: state };
  const leftMs = Math.max(0, (untilEpochMs ?? 0) - clock.epochMs());
  const untilMs = clock.now() + Math.min(maxOpenDurationMs, leftMs);
  return { kind: 'open', untilMs, openings: Math.max(1, openings) };
}
