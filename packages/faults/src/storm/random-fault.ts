import type { Random } from '@holdfast/foundation';
import type { DirectionalFaultOptions } from '../proxy/fault.ts';
import type { ProxyFaultKind, ProxyFaultSpec } from '../proxy/fault-kinds.ts';

/** Draws the options of a fault: strong enough to matter, mild enough that something still passes. */
export function randomFault(kind: ProxyFaultKind, random: Random): ProxyFaultSpec {
  return drawers[kind](dice(random));
}

interface Dice {
  /** Uniform over the orders of magnitude. */
  readonly between: (least: number, most: number) => number;
  readonly one: <const T>(values: readonly [T, ...T[]]) => T;
}

function dice(random: Random): Dice {
  return {
    between: (least, most) => Math.round(least * (most / least) ** random()),
    one: (values) => values[Math.floor(random() * values.length)] ?? values[0],
  };
}

const someConnections = ({ one }: Dice): { probability: number } => ({
  probability: one([1, 1, 0.5]),
});
const directional = (drawn: Dice): DirectionalFaultOptions => ({
  direction: drawn.one(['both', 'toServer', 'toClient']),
  ...someConnections(drawn),
});

const drawers: Readonly<Record<ProxyFaultKind, (drawn: Dice) => ProxyFaultSpec>> = {
  corrupt: (drawn) => ({
    kind: 'corrupt',
    options: { ...directional(drawn), byteShare: drawn.between(1, 1_000) / 1_000_000 },
  }),
  limitData: (drawn) => ({
    kind: 'limitData',
    options: {
      ...directional(drawn),
      maxBytes: drawn.between(1, 1_000_000),
      ending: drawn.one(['close', 'reset']),
    },
  }),
  slice: (drawn) => {
    const sliceBytes = drawn.between(2, 10_000);
    return {
      kind: 'slice',
      options: { ...directional(drawn), sliceBytes, jitterBytes: sliceBytes >> 1 },
    };
  },
  latency: (drawn) => {
    const latencyMs = drawn.between(1, 300);
    const distribution = drawn.one(['uniform', 'normal', 'exponential', 'pareto']);
    const options = { ...directional(drawn), latencyMs, jitterMs: latencyMs / 2, distribution };
    return { kind: 'latency', options };
  },
  bandwidth: (drawn) => ({
    kind: 'bandwidth',
    options: { ...directional(drawn), bytesPerSecond: drawn.between(10_000, 10_000_000) },
  }),
  slowClose: (drawn) => ({
    kind: 'slowClose',
    options: { ...directional(drawn), delayMs: drawn.between(1, 1_000) },
  }),
  blackhole: (drawn) => ({ kind: 'blackhole', options: directional(drawn) }),
  timeout: (drawn) => ({
    kind: 'timeout',
    options: { ...someConnections(drawn), timeoutMs: drawn.between(10, 2_000) },
  }),
  silence: (drawn) => ({ kind: 'silence', options: someConnections(drawn) }),
  halfOpen: (drawn) => ({ kind: 'halfOpen', options: someConnections(drawn) }),
  reset: (drawn) => ({ kind: 'reset', options: someConnections(drawn) }),
  down: ({ one }) => ({ kind: 'down', options: { connections: one(['keep', 'close', 'reset']) } }),
};
