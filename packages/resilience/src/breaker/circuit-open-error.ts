import { HoldfastError, type HoldfastErrorDetails } from '@holdfast/foundation';

/** Why a circuit refuses: it is open, its probes are still running, or it was isolated. */
export type RefusingState = 'open' | 'half-open' | 'isolated';

interface CircuitRefusal {
  readonly name: string;
  readonly key: string | undefined;
  readonly state: RefusingState;
  /** Absent for an isolated circuit, which refuses until its reset. */
  readonly retryAfterMs: number | undefined;
  /** The failure that opened the circuit. */
  readonly cause: unknown;
}

/** The circuit refused the call; nothing was sent. */
export class CircuitOpenError extends HoldfastError {
  readonly code = 'RESILIENCE_CIRCUIT_OPEN';
  readonly circuit: string;
  readonly key?: string;
  readonly state: RefusingState;

  constructor(refusal: CircuitRefusal) {
    const { name, key, state, retryAfterMs, cause } = refusal;
    const keyed = key !== undefined && key !== '';
    const circuit = keyed ? `${name} ${key}` : name;
    const details: HoldfastErrorDetails = { outcome: 'not-applied' };
    if (cause !== undefined) details.cause = cause;
    if (retryAfterMs !== undefined) {
      details.retryAfterMs = retryAfterMs;
      details.retryable = true;
    }
    super(
      `circuit breaker ${circuit} is ${state}; the call was not started${hint(retryAfterMs)}`,
      details,
    );
    this.circuit = name;
    if (keyed) this.key = key;
    this.state = state;
  }
}

function hint(retryAfterMs: number | undefined): string {
  return retryAfterMs === undefined
    ? ' and none will be until its reset'
    : `; worth another try in ${retryAfterMs} ms`;
}
