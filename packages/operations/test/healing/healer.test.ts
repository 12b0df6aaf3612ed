import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type HealerOptions, type HealingPolicy, createHealer } from '@holdfast/operations';

const SECOND_MS = 1_000;

function openHealer(policy: Partial<HealingPolicy> = {}, options: Partial<HealerOptions> = {}) {
  const clock = createFakeClock();
  const acted: string[] = [];
  const escalated: unknown[] = [];
  const healer = createHealer({
    conditions: {
      hung: {
        act: (target) => Promise.resolve(void acted.push(target)),
        hits: 3,
        of: 5,
        verifyMs: 30 * SECOND_MS,
        backoffMs: 60 * SECOND_MS,
        ...policy,
      },
    },
    fleetSize: () => 10,
    clock,
    ...options,
  });
  healer.on('escalated', (event) => escalated.push(event));
  const report = (target: string, isPresent = true) =>
    healer.report({ target, condition: 'hung', isPresent });
  /** Reports the same for so many seconds. */
  const during = async (target: string, seconds: number, isPresent = true) => {
    for (let second = 0; second < seconds; second += 1) {
      report(target, isPresent);
      await clock.advance(SECOND_MS);
    }
  };
  return { clock, healer, acted, escalated, report, during };
}

test('one bad report is no illness: so many of the last must be', async () => {
  const { acted, report } = openHealer();
  const pattern = [true, false, true, false, false, true, false, false].map((each) =>
    report('a', each),
  );
  expect(pattern).not.toContain('act');
  expect([report('b'), report('b'), report('b')]).toEqual(['confirming', 'confirming', 'act']);
  expect(acted).toEqual(['b']);
});

test('an action is verified by the signal that asked for it, not by its own word', async () => {
  const { healer, acted, escalated, during, report } = openHealer();
  await during('a', 600);
  // The pauses double: after the verification 60 s, then 120 s; three attempts, then a person.
  expect(acted).toEqual(['a', 'a', 'a']);
  expect(escalated).toEqual([
    { condition: 'hung', target: 'a', attempts: 3, reason: 'attempts-exhausted' },
  ]);
  expect(healer.getStats()).toMatchObject({ healed: 0, busy: 0 });
  expect(report('a')).toBe('escalated');
});

test('what is healed and relapses goes on counting, until it was well for long enough', async () => {
  const { acted, escalated, during, clock, report } = openHealer();
  for (let relapse = 0; relapse < 4; relapse += 1) {
    await during('a', 3);
    await during('a', 5, false);
  }
  expect(acted).toHaveLength(3);
  expect(escalated).toHaveLength(1);
  await clock.advance(600 * SECOND_MS);
  report('a', false);
  await during('a', 3);
  expect(acted).toHaveLength(4);
});

test('an action that failed or hangs may have worked: the signal decides', async () => {
  const failing = openHealer({ act: () => Promise.reject(new Error('lost')) });
  await failing.during('a', 3);
  expect(failing.report('a', false)).toBe('healed');
  const hanging = openHealer({ act: () => new Promise(() => {}), actionTimeoutMs: 5_000 });
  await hanging.during('a', 3);
  expect(hanging.report('a')).toBe('acting');
  await hanging.clock.advance(6_000);
  expect(hanging.report('a', false)).toBe('healed');
  expect(hanging.healer.getStats()).toMatchObject({ failedActions: 1, healed: 1 });
});

test('never more than the share is in an action at a time, and one always may be', async () => {
  const { acted, during, report } = openHealer({}, { maxShare: 0.2, fleetWideShare: 1 });
  for (const target of ['a', 'b', 'c']) await during(target, 3);
  expect(acted).toEqual(['a', 'b']);
  expect(report('c')).toBe('share-in-use');
  report('a', false);
  expect(report('c')).toBe('act');
  const small = openHealer({}, { fleetSize: () => 2, maxShare: 0.1 });
  await small.during('a', 3);
  await small.during('b', 3);
  expect(small.acted).toEqual(['a']);
});

test('a condition of many is not theirs: nobody is acted on, and a person is asked once', async () => {
  const { acted, escalated, during, report } = openHealer({ hits: 1, of: 1 }, { maxShare: 1 });
  await during('a', 1);
  report('a', false);
  acted.length = 0;
  for (const target of ['b', 'c', 'd', 'e', 'f']) report(target);
  for (const target of ['b', 'c', 'd', 'e', 'f']) report(target);
  expect(acted).toEqual(['b', 'c', 'd']);
  expect(escalated).toEqual([{ condition: 'hung', attempts: 0, reason: 'fleet-wide' }]);
});

test('the budget of an hour holds over all targets', async () => {
  const { acted, report, clock } = openHealer({ hits: 1, of: 1 }, { maxActionsPerHour: 3 });
  for (const target of ['a', 'b', 'c', 'd']) {
    report(target);
    await clock.advance(1);
    report(target, false);
  }
  expect(acted).toEqual(['a', 'b', 'c']);
  expect(report('d')).toBe('budget-spent');
  await clock.advance(3_600_000);
  expect(report('d')).toBe('act');
});

test('nothing is done while a person holds it, and where there is no room', async () => {
  const { healer, acted, during, report } = openHealer(
    {},
    { hasRoom: (target) => target !== 'full' },
  );
  healer.hold('being debugged', 'a');
  await during('a', 5);
  await during('full', 5);
  expect(acted).toEqual([]);
  expect([report('a'), report('full')]).toEqual(['held', 'no-room']);
  healer.release('a');
  expect(report('a')).toBe('act');
  healer.hold('a deploy');
  await during('c', 3);
  expect(report('c')).toBe('held');
});

test.each([
  ['no budget', { maxActionsPerHour: 0 }, 'maxActionsPerHour'],
  ['no share', { maxShare: 0 }, 'maxShare'],
  [
    'more hits than reports',
    { conditions: { x: { act: () => Promise.resolve(), hits: 6 } } },
    'conditions.x.hits',
  ],
])('%s is refused', (_, options, field) => {
  const base = { conditions: {}, fleetSize: () => 1 };
  expect(() => createHealer({ ...base, ...options })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test('closing ends an action on the way, and leaves no timer', async () => {
  const { healer, clock, during, report } = openHealer({ act: () => new Promise(() => {}) });
  await during('a', 3);
  await healer.close();
  await healer.close();
  expect(clock.pendingTimers).toBe(0);
  expect(() => report('a')).toThrow(expect.objectContaining({ code: 'OPERATIONS_HEALER_CLOSED' }));
});
