import { expect, test } from '@jest/globals';
import { planFaults } from '../src/demo/faults.ts';

const fill = { effect: 'full', apply: () => Promise.resolve(() => Promise.resolve()) };
const victims = ['redis', 'postgres', 's3'].map((name) => ({ name, fill }));
const plan = (seed: number) => planFaults(victims, { seed, durationMs: 9_000 });

test('a seed gives the same faults again, and another seed others', () => {
  expect(plan(7)).toEqual(plan(7));
  expect(plan(8)).not.toEqual(plan(7));
});

test.each(Array.from({ length: 20 }, (_, seed) => seed))(
  'seed %s kills, freezes and fills each server once within the duration, a kill first',
  (seed) => {
    const tracks = plan(seed);
    expect(tracks.map(({ victim }) => victim.name).toSorted()).toEqual(['postgres', 'redis', 's3']);
    for (const { faults, startMs, slotMs } of tracks) {
      expect(faults.map(({ kind }) => kind).toSorted()).toEqual(['fill', 'freeze', 'kill']);
      for (const { holdMs } of faults) expect(holdMs).toBeLessThan(slotMs);
      expect(startMs + slotMs * faults.length).toBeLessThanOrEqual(9_001);
    }
    const [first] = tracks;
    expect(first).toMatchObject({ startMs: 0, faults: [{ kind: 'kill' }, {}, {}] });
  },
);

test('a server that cannot be filled here is killed and frozen', () => {
  const tracks = planFaults([{ fill: undefined }], { seed: 1, durationMs: 900 });
  expect(tracks.flatMap(({ faults }) => faults.map(({ kind }) => kind)).toSorted()).toEqual([
    'freeze',
    'kill',
  ]);
});
