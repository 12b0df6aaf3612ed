/**
 * The state of a circuit, with only the data of that state.
 *
 * ```
 *              trip                    half-open (first call after untilMs)
 *   ┌────────┐ ──────────> ┌──────┐ ───────────────────> ┌───────────┐
 *   │ closed │             │ open │                      │ half-open │
 *   └────────┘             └──────┘ <─────────────────── └───────────┘
 *       ^                            relapse                   │
 *       └──────────────────────────────────────────────────────┘
 *                                    recover
 *
 *   from any state:  reset -> closed    force-open -> open    isolate -> isolated
 *                    observe -> metrics-only    restore -> what was exported
 * ```
 *
 * Lost probes that decide nothing begin a new half-open generation (go-on). `isolated` refuses and `metrics-only`
 * admits every call until the next command; both count results without effect on the state.
 */
export type CircuitState =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly untilMs: number; readonly openings: number }
  | { readonly kind: 'half-open'; readonly openings: number; readonly probes: ProbeRound }
  | { readonly kind: 'isolated' }
  | { readonly kind: 'metrics-only' };

/** An event of a circuit. Times are monotonic. */
export type CircuitMove =
  | { readonly kind: 'trip'; readonly untilMs: number }
  | { readonly kind: 'half-open'; readonly probes: ProbeRound }
  | { readonly kind: 'relapse'; readonly untilMs: number }
  | { readonly kind: 'go-on' }
  | { readonly kind: 'recover' }
  | { readonly kind: 'force-open'; readonly untilMs: number }
  | { readonly kind: 'isolate' }
  | { readonly kind: 'observe' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'restore'; readonly state: CircuitState };

/** The initial state; one object for all circuits, so that an idle circuit costs little. */
export const closed: CircuitState = { kind: 'closed' };
const isolated: CircuitState = { kind: 'isolated' };
const metricsOnly: CircuitState = { kind: 'metrics-only' };

/** The state after an event; the same object if the event has no effect in that state. */
export function transition(state: CircuitState, move: CircuitMove): CircuitState {
  switch (move.kind) {
    case 'trip':
      if (state.kind !== 'closed') return state;
      return { kind: 'open', untilMs: move.untilMs, openings: 1 };
    case 'half-open':
      if (state.kind !== 'open') return state;
      return { kind: 'half-open', openings: state.openings, probes: move.probes };
    case 'relapse':
      if (state.kind !== 'half-open') return state;
      return { kind: 'open', untilMs: move.untilMs, openings: state.openings + 1 };
    case 'go-on':
      // A new object, and thereby a new generation: lost probes can no longer count.
      return state.kind === 'half-open' ? { ...state } : state;
    case 'recover':
      return state.kind === 'half-open' ? closed : state;
    case 'force-open':
      return { kind: 'open', untilMs: move.untilMs, openings: openingsOf(state) + 1 };
    case 'isolate':
      return isolated;
    case 'observe':
      return metricsOnly;
    case 'restore':
      return move.state;
    case 'reset':
    default:
      return closed;
  }
}

/** How many times in a row a circuit has opened without closing in between. */
export function openingsOf(state: CircuitState): number {
  return state.kind === 'open' || state.kind === 'half-open' ? state.openings : 0;
}

export interface ProbeRules {
  /** How many probes are admitted, and how many results decide. */
  readonly maxCalls: number;
  /** This many failures among them open the circuit again. */
  readonly failuresToReopen: number;
  /** This many slow calls among them open the circuit again. */
  readonly slowCallsToReopen: number;
  /** A probe that takes longer is lost. */
  readonly probeTimeoutMs: number;
}

export type ProbeVerdict = 'recover' | 'relapse' | undefined;

/**
 * The probes of one half-open generation. A probe that ends without a result may be replaced; one that does not
 * end counts as a failure after its timeout.
 */
export class ProbeRound {
  readonly #rules: ProbeRules;
  #running = 0;
  #results = 0;
  #failures = 0;
  #slowCalls = 0;
  #lostAtMs = Infinity;

  constructor(rules: ProbeRules) {
    this.#rules = rules;
  }

  /** Probes that were admitted and not released: at most `maxCalls`. */
  get admitted(): number {
    return this.#running + this.#results;
  }

  /** When the running probes count as lost, on the monotonic clock. */
  get lostAtMs(): number {
    return this.#running === 0 ? Infinity : this.#lostAtMs;
  }

  tryAdmit(nowMs: number): boolean {
    if (this.admitted >= this.#rules.maxCalls) return false;
    this.#running += 1;
    this.#lostAtMs = nowMs + this.#rules.probeTimeoutMs;
    return true;
  }

  release(): void {
    this.#running -= 1;
  }

  count(failed: boolean, slow: boolean): ProbeVerdict {
    this.#running -= 1;
    this.#results += 1;
    if (failed) this.#failures += 1;
    if (slow) this.#slowCalls += 1;
    return this.#verdict();
  }

  /** Counts every running probe as failed. */
  failRunning(): ProbeVerdict {
    this.#results += this.#running;
    this.#failures += this.#running;
    this.#running = 0;
    return this.#verdict();
  }

  #verdict(): ProbeVerdict {
    const { maxCalls, failuresToReopen, slowCallsToReopen } = this.#rules;
    if (this.#failures >= failuresToReopen || this.#slowCalls >= slowCallsToReopen) {
      return 'relapse';
    }
    return this.#results >= maxCalls ? 'recover' : undefined;
  }
}
