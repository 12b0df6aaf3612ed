import { afterEach, expect, jest, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type QueueEvents, type ScheduleOptions, type Timetable } from '@holdfast/queue';
import { dueTicks } from '../../src/schedules/missed-ticks.ts';
import { ticksOf } from '../../src/schedules/timetable.ts';
import { TickingProcess, TickingServer, pass } from './ticking-processes.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = Date.UTC(2026, 0, 1);

afterEach(() => void jest.restoreAllMocks());

/** A server, and processes that are closed after the story. */
async function story(
  run: (deps: {
    fake: ReturnType<typeof createFakeClock>;
    server: TickingServer;
    open: () => TickingProcess;
    close: (one: TickingProcess) => Promise<void>;
    declare: (one: TickingProcess, options?: ScheduleOptions, when?: Timetable) => Promise<void>;
    ticks: () => number[];
  }) => Promise<void>,
): Promise<void> {
  const fake = createFakeClock(START_MS);
  const server = new TickingServer(fake);
  const opened: TickingProcess[] = [];
  const close = async ({ queue }: TickingProcess): Promise<void> => {
    await fake.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
  };
  await run({
    fake,
    server,
    close,
    open() {
      const one = new TickingProcess(server, fake);
      one.up();
      opened.push(one);
      return one;
    },
    declare: ({ queue }, options, when = { everyMs: MINUTE_MS }) =>
      fake.settle(queue.schedule('minutely', when, 'mail', { kind: 'digest' }, options)),
    ticks: () => server.idsOf('mail').map((id) => Number(id.split(' ').at(-1)) - START_MS),
  });
  for (const one of opened) await close(one);
  expect(fake.pendingTimers).toBe(0);
}

/** The minutes of these ticks. */
function minutes(ticks: readonly number[]): number[] {
  return ticks.map((tickMs) => tickMs / MINUTE_MS);
}

test('ticks during an outage are accepted by the fallback, and delivered once after it', () =>
  story(async ({ fake, open, declare, ticks }) => {
    const one = open();
    await declare(one);
    const accepted: string[] = [];
    one.queue.on('ticked', (event: QueueEvents['ticked']) => accepted.push(event.accepted));
    await pass(fake, 1.5 * MINUTE_MS);
    one.down();
    await pass(fake, 2 * MINUTE_MS);
    expect(accepted).toEqual(['redis', 'memory', 'memory']);
    expect(minutes(ticks())).toEqual([1]);
    one.up();
    await pass(fake, MINUTE_MS);
    expect(minutes(ticks())).toEqual([1, 2, 3, 4]);
  }));

test.each([
  ['skip', [1, 6, 7], 0],
  ['once', [1, 5, 6, 7], 1],
  ['all', [1, 3, 4, 5, 6, 7], 3],
] as const)(
  'of the ticks while no process ran, `missed: %s` makes up for as many as it says',
  (missed, expected, issued) =>
    story(async ({ fake, open, close, declare, ticks }) => {
      const first = open();
      await declare(first);
      await pass(fake, 1.5 * MINUTE_MS);
      await close(first);
      await pass(fake, 4 * MINUTE_MS);
      const events: QueueEvents['ticks-missed'][] = [];
      const second = open();
      second.queue.on('ticks-missed', (event) => events.push(event));
      await declare(second, { missed, maxMissed: 3 });
      await pass(fake, 2 * MINUTE_MS);
      expect(minutes(ticks())).toEqual(expected);
      expect(events).toEqual([expect.objectContaining({ name: 'minutely', missed: 4, issued })]);
    }),
);

test('a process that starts without Redis makes up for what was missed before, once Redis tells it', () =>
  story(async ({ fake, open, close, declare, ticks }) => {
    const first = open();
    await declare(first);
    await pass(fake, 1.5 * MINUTE_MS);
    await close(first);
    await pass(fake, 2 * MINUTE_MS);
    const second = open();
    second.down();
    await declare(second, { missed: 'all' });
    await pass(fake, 2 * MINUTE_MS);
    expect(minutes(ticks())).toEqual([1]);
    second.up();
    await pass(fake, MINUTE_MS);
    expect(minutes(ticks()).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
  }));

test('a process goes by the time of Redis, and one whose clock was wrong does not silence the others', () =>
  story(async ({ fake, open, declare, ticks }) => {
    const wrong = open();
    wrong.down();
    wrong.wallStepMs = HOUR_MS;
    await declare(wrong);
    await pass(fake, 1.5 * MINUTE_MS);
    wrong.up();
    const right = open();
    await declare(right);
    await pass(fake, 3 * MINUTE_MS);
    // It had issued the first tick of the next hour, by a clock that nobody could correct.
    expect(minutes(ticks()).toSorted((a, b) => a - b)).toEqual([2, 3, 4, 61]);
  }));

test('a schedule that was removed stops in every process, until one declares it again', () =>
  story(async ({ fake, open, declare, ticks }) => {
    const [one, other] = [open(), open()];
    await declare(one);
    await declare(other);
    await pass(fake, 1.5 * MINUTE_MS);
    expect(one.queue.schedules()).toEqual([
      {
        name: 'minutely',
        topic: 'mail',
        timetable: { everyMs: MINUTE_MS },
        lastTickMs: START_MS + MINUTE_MS,
        nextTickMs: START_MS + 2 * MINUTE_MS,
        isSynchronized: true,
      },
    ]);
    const stopped = await fake.settle(one.queue.unschedule('minutely'));
    expect(stopped).toEqual({ stopped: 'everywhere' });
    await pass(fake, 3 * MINUTE_MS);
    // The other process may have been about to tick.
    const before = ticks().length;
    expect(before).toBeLessThanOrEqual(2);
    expect([...one.queue.schedules(), ...other.queue.schedules()]).toEqual([]);
    await declare(other);
    await pass(fake, MINUTE_MS);
    expect(ticks().length).toBe(before + 1);
    await expect(one.queue.unschedule('minutely')).resolves.toEqual({ stopped: 'unknown' });
  }));

test('a removal while Redis is away stops this process at once, and the others once it is back', () =>
  story(async ({ fake, open, declare, ticks }) => {
    const [one, other] = [open(), open()];
    await declare(one);
    await declare(other);
    one.down();
    await pass(fake, 1.5 * MINUTE_MS);
    const stopped = await fake.settle(one.queue.unschedule('minutely'));
    expect(stopped).toEqual({ stopped: 'here' });
    one.up();
    await pass(fake, 3 * MINUTE_MS);
    expect(other.queue.schedules()).toEqual([]);
    expect(ticks().length).toBeLessThanOrEqual(2);
  }));

test('a tick that nothing accepts is reported, tried again, and then missed', () =>
  story(async ({ fake, open, declare }) => {
    const one = open();
    const kinds: string[] = [];
    for (const kind of ['tick-refused', 'ticks-missed', 'ticked'] as const) {
      one.queue.on(kind, () => kinds.push(kind));
    }
    await declare(one, { missed: 'skip', key: 'k' }).catch(() => undefined);
    expect(one.queue.schedules()).toEqual([]);
    await declare(one, { missed: 'skip' });
    const refusing = jest.spyOn(one.queue, 'enqueue').mockRejectedValue(new Error('full'));
    await pass(fake, MINUTE_MS + 20_000);
    refusing.mockRestore();
    await pass(fake, MINUTE_MS);
    expect(new Set(kinds)).toEqual(new Set(['tick-refused', 'ticks-missed', 'ticked']));
    expect(kinds.indexOf('ticks-missed')).toBeGreaterThan(kinds.lastIndexOf('tick-refused'));
    expect(kinds.filter((kind) => kind === 'ticked')).toHaveLength(1);
  }));

test.each([
  ['timetable.cron', { cron: 'every day' }],
  ['timetable.cron', { cron: '0 0 31 2 *' }],
  ['timetable.timeZone', { cron: '0 0 * * *', timeZone: 'Europe/Atlantis' }],
  ['timetable.everyMs', { everyMs: 5 }],
  ['timetable.cron', { everyMs: 1_000, cron: '* * * * *' }],
  ['timetable', undefined],
] as const)('a timetable with a bad %s is refused, and nothing is scheduled', (field, when) =>
  story(async ({ fake, open }) => {
    const { queue } = open();
    const given: unknown = when;
    const schedule = (at: Timetable): Promise<void> => queue.schedule('name', at, 'mail', null);
    const scheduling: Promise<void> = Reflect.apply(schedule, undefined, [given]);
    await expect(fake.settle(scheduling)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      field,
    });
    expect(queue.schedules()).toEqual([]);
  }),
);

test('bad names, payloads and options are refused, and nothing is scheduled', () =>
  story(async ({ open }) => {
    const { queue } = open();
    const every = { everyMs: 1_000 };
    const refused = (field: string): object => ({ code: 'INVALID_OPTION', field });
    await expect(queue.schedule('x'.repeat(151), every, 'mail', 1)).rejects.toMatchObject(
      refused('name'),
    );
    await expect(queue.schedule('n', every, '', 1)).rejects.toMatchObject(refused('topic'));
    await expect(queue.schedule('n', every, 'mail', undefined)).rejects.toMatchObject(
      refused('payload'),
    );
    const many = { maxMissed: 0 };
    await expect(queue.schedule('n', every, 'mail', 1, many)).rejects.toMatchObject(
      refused('maxMissed'),
    );
    expect(queue.schedules()).toEqual([]);
  }));

test('a pattern that ticks every second is scheduled with a warning', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  await ticksOf({ cron: '* * * * * *' }, START_MS);
  expect(warn).toHaveBeenCalledWith(expect.stringContaining('every 1000 ms'), {
    code: 'QUEUE_SCHEDULE_FREQUENT',
  });
  await ticksOf({ cron: '*/2 * * * * *' }, START_MS);
  expect(warn).toHaveBeenCalledTimes(1);
});

test.each([
  ['a time that is skipped ticks at the end of the gap', '30 2 * * *', '2026-03-08', ['07:00']],
  ['a time that occurs twice ticks the first time', '30 1 * * *', '2026-11-01', ['05:30']],
  ['an hourly pattern ticks through both hours', '15 * * * *', '2026-11-01', ['05:15', '06:15']],
] as const)('when clocks change in New York, %s', async (_, cron, day, expected) => {
  const ticks = await ticksOf({ cron, timeZone: 'America/New_York' }, START_MS);
  const fromMs = Date.parse(`${day}T05:00:00Z`);
  const toMs = fromMs + 2 * HOUR_MS;
  const { issue } = dueTicks(
    ticks,
    { lastMs: fromMs, nowMs: toMs },
    { missed: 'all', maxMissed: 10 },
  );
  expect(issue.map((tickMs) => new Date(tickMs).toISOString().slice(11, 16))).toEqual(expected);
});

test('of more missed ticks than are made up for, the latest are', async () => {
  const ticks = await ticksOf({ cron: '*/5 * * * * *' }, START_MS);
  const nowMs = START_MS + 30 * 24 * HOUR_MS;
  const due = dueTicks(ticks, { lastMs: START_MS, nowMs }, { missed: 'all', maxMissed: 2 });
  expect(due.missed).toBe(1_000);
  expect(due.issue.map((tickMs) => tickMs - nowMs)).toEqual([-15_000, -10_000, -5_000, 0]);
});
