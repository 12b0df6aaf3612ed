import { expect, test } from '@jest/globals';
import {
  type FleetStorm,
  type ProxyFaultKind,
  type Schedule,
  type Storm,
  type TimedFault,
  fleetStorm,
  shrinkStorm,
  storm,
} from '@holdfast/faults';

const STORMS = 50;

const overlap = (one: TimedFault, other: TimedFault): boolean =>
  one.atMs < other.atMs + other.forMs && other.atMs < one.atMs + one.forMs;
const ofKind = ({ faults }: Storm, kind: ProxyFaultKind): Storm['faults'] =>
  faults.filter(({ fault }) => fault.kind === kind);
const has = (weather: Storm, kind: ProxyFaultKind): boolean => ofKind(weather, kind).length > 0;

/** Planted failures: when a run in the storm fails, and of how many faults at least. */
const planted: [string, (weather: Storm) => boolean, number][] = [
  ['one kind', (weather) => has(weather, 'halfOpen'), 1],
  ['two kinds', (weather) => has(weather, 'reset') && has(weather, 'latency'), 2],
  [
    'three kinds',
    (weather) => has(weather, 'reset') && has(weather, 'latency') && has(weather, 'down'),
    3,
  ],
  [
    'one kind before another',
    (weather) =>
      ofKind(weather, 'blackhole').some((first) =>
        ofKind(weather, 'reset').some((then) => then.atMs > first.atMs + first.forMs),
      ),
    2,
  ],
  [
    'two kinds at one time',
    (weather) =>
      ofKind(weather, 'slice').some((one) =>
        ofKind(weather, 'bandwidth').some((other) => overlap(one, other)),
      ),
    2,
  ],
  [
    'a fault that lasts',
    ({ faults }) => faults.some(({ forMs, fault }) => fault.kind === 'timeout' && forMs > 500),
    1,
  ],
  ['the same kind twice', (weather) => ofKind(weather, 'silence').length >= 2, 2],
  [
    'any three of one direction',
    ({ faults }) =>
      faults.filter(
        ({ fault: { options } }) => 'direction' in options && options.direction === 'toClient',
      ).length >= 3,
    3,
  ],
  [
    'one kind without another, which has to go first',
    (weather) => has(weather, 'limitData') && !has(weather, 'slowClose'),
    1,
  ],
];

function firstFailing<Weather extends Schedule<TimedFault>>(
  draw: (seed: number) => Weather,
  fails: (weather: Weather) => boolean,
): Weather[] {
  const failing: Weather[] = [];
  for (let seed = 0; failing.length < STORMS; seed += 1) {
    const drawn = draw(seed);
    if (fails(drawn)) failing.push(drawn);
  }
  return failing;
}

test.each(planted)(
  'a failure caused by %s shrinks to its causes, in every storm and within a hundred runs',
  async (_, fails, faults) => {
    for (const drawn of firstFailing((seed) => storm(seed, { maxFaults: 25 }), fails)) {
      let runs = 0;
      const shrunk = await shrinkStorm(drawn, async (candidate) => {
        runs += 1;
        return fails(candidate);
      });
      expect(fails(shrunk)).toBe(true);
      expect(shrunk.faults.length).toBeLessThanOrEqual(Math.min(3, faults));
      expect(runs).toBeLessThanOrEqual(100);
      expect(shrunk.seed).toBe(drawn.seed);
      // None of these failures needs time after its last fault.
      expect(shrunk.durationMs).toBe(
        Math.max(1, ...shrunk.faults.map(({ atMs, forMs }) => atMs + forMs)),
      );
    }
  },
);

test('a failure caused by two servers shrinks to one fault of each', async () => {
  const struck = ({ faults }: FleetStorm, name: string): boolean =>
    faults.some(({ server }) => server === name);
  const fails = (weather: FleetStorm): boolean => struck(weather, 'a') && struck(weather, 'c');
  const draw = (seed: number): FleetStorm =>
    fleetStorm(seed, { servers: ['a', 'b', 'c'], maxFaults: 25 });
  for (const drawn of firstFailing(draw, fails)) {
    const shrunk = await shrinkStorm(drawn, async (candidate) => fails(candidate));
    expect(shrunk.faults.map(({ server }) => server).toSorted()).toEqual(['a', 'c']);
  }
});

test('with few runs the result is the smallest storm that did fail', async () => {
  const drawn = storm(5, { maxFaults: 25 });
  const kind = drawn.faults[0]?.fault.kind;
  for (const maxRuns of [0, 1, 2, 3, 5, 8]) {
    const seen = [drawn];
    const shrunk = await shrinkStorm(
      drawn,
      async (candidate) => {
        const isFailing = candidate.faults.some(({ fault }) => fault.kind === kind);
        if (isFailing) seen.push(candidate);
        return isFailing;
      },
      { maxRuns },
    );
    expect(seen).toContainEqual(shrunk);
  }
});

test('the duration shrinks to what the failure needs, and faults move to the begin', async () => {
  const drawn: Storm = {
    seed: 1,
    durationMs: 60_000,
    faults: [
      { atMs: 9_000, forMs: 1_000, fault: { kind: 'reset', options: {} } },
      { atMs: 30_000, forMs: 8_000, fault: { kind: 'down', options: {} } },
      { atMs: 50_000, forMs: 20, fault: { kind: 'silence', options: {} } },
    ],
  };
  const needs = (afterMs: number) => async (candidate: Storm) =>
    has(candidate, 'reset') && has(candidate, 'down') && candidate.durationMs >= afterMs;
  expect(await shrinkStorm(drawn, needs(0))).toEqual({
    seed: 1,
    durationMs: 3,
    faults: [
      { atMs: 0, forMs: 1, fault: { kind: 'reset', options: {} } },
      { atMs: 2, forMs: 1, fault: { kind: 'down', options: {} } },
    ],
  });
  expect(await shrinkStorm(drawn, needs(12_345))).toMatchObject({ durationMs: 12_345 });
  const apart = async (candidate: Storm): Promise<boolean> => {
    const [first, last] = candidate.faults;
    return first !== undefined && last !== undefined && last.atMs - first.atMs >= 5_000;
  };
  const shrunk = await shrinkStorm(drawn, apart);
  expect(shrunk.faults.map(({ atMs }) => atMs)).toEqual([0, expect.any(Number)]);
  expect(shrunk.durationMs).toBeGreaterThanOrEqual(5_000);
  expect(shrunk.durationMs).toBeLessThan(11_000);
});
