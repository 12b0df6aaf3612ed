import { expect, test } from '@jest/globals';
import {
  type CircuitMove,
  type CircuitState,
  ProbeRound,
  closed,
  transition,
} from '../../src/breaker/circuit-state.ts';

const probes = new ProbeRound({
  maxCalls: 1,
  failuresToReopen: 1,
  slowCallsToReopen: Infinity,
  probeTimeoutMs: 1_000,
});
const states: readonly CircuitState[] = [
  closed,
  { kind: 'open', untilMs: 5_000, openings: 1 },
  { kind: 'half-open', openings: 1, probes },
  { kind: 'isolated' },
  { kind: 'metrics-only' },
];
const moves: readonly {
  readonly move: CircuitMove;
  readonly from: CircuitState['kind'];
  readonly to: CircuitState['kind'];
}[] = [
  { move: { kind: 'trip', untilMs: 9_000 }, from: 'closed', to: 'open' },
  { move: { kind: 'half-open', probes }, from: 'open', to: 'half-open' },
  { move: { kind: 'relapse', untilMs: 9_000 }, from: 'half-open', to: 'open' },
  { move: { kind: 'go-on' }, from: 'half-open', to: 'half-open' },
  { move: { kind: 'recover' }, from: 'half-open', to: 'closed' },
];

test.each(moves)(
  'the move $move.kind leads from $from to $to, and means nothing anywhere else',
  ({ move, from, to }) => {
    const moved = states.filter((state) => transition(state, move) !== state);
    expect(moved.map(({ kind }) => kind)).toEqual([from]);
    expect(moved.map((state) => transition(state, move).kind)).toEqual([to]);
  },
);
