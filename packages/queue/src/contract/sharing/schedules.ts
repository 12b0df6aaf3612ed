import { expect } from '@jest/globals';
import type { QueueBackend } from '../../backend.ts';
import type { ScheduleRecord, ScheduleStore } from '../../schedules/schedule-store.ts';
import { collect } from '../collect.ts';
import type { DeclareTest, OpenContractQueue } from '../guarantees.ts';
import { PARTS } from '../jobs.ts';

const EVERY_MS = 100;
const DAY_MS = 86_400_000;

/** A queue enqueues jobs by the clock. */
export function honoursSchedules(openUp: OpenContractQueue, test: DeclareTest): void {
  test('each tick is handled once, although the schedule is declared twice', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    queue.process('ticking', take);
    const payload = { kind: 'digest' };
    await queue.schedule('often', { everyMs: EVERY_MS }, 'ticking', payload);
    await queue.schedule('often', { everyMs: EVERY_MS }, 'ticking', payload);
    await reached(4);
    expect(queue.schedules()).toEqual([
      expect.objectContaining({ name: 'often', topic: 'ticking', isSynchronized: true }),
    ]);
    await expect(queue.unschedule('often')).resolves.toEqual({ stopped: 'everywhere' });
    expect(queue.schedules()).toEqual([]);
    const ids = jobs.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const ticks = ids.map((id) => Number(id.split(' ').at(-1))).toSorted((a, b) => a - b);
    const [first = 0] = ticks;
    expect(ticks).toEqual(ticks.map((_, index) => first + index * EVERY_MS));
    expect(jobs[0]?.payload).toEqual(payload);
  });

  test('a schedule that never ticks, or has no name, is refused, and nothing is scheduled', async () => {
    const queue = await openUp();
    const never = { cron: '0 0 30 2 *' };
    await expect(queue.schedule('never', never, 't', 1)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      field: 'timetable.cron',
    });
    await expect(queue.schedule('', { everyMs: EVERY_MS }, 't', 1)).rejects.toMatchObject({
      field: 'name',
    });
    expect(queue.schedules()).toEqual([]);
    await expect(queue.unschedule('never')).resolves.toEqual({ stopped: 'unknown' });
  });
}

/** A store only ever raises the last tick of a schedule, and tells every process of a removal. */
export function honoursScheduleStore(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  const open = async (): Promise<ScheduleStore['exchange']> => {
    const { schedules } = await openUp();
    if (schedules === undefined) throw new Error('the store keeps no schedules');
    return (...notice) => schedules.exchange(...notice);
  };
  const last = ({ lastTickMs }: ScheduleRecord): number => lastTickMs;

  test('the last tick is only ever raised, and not beyond the time of the store', async () => {
    const exchange = await open();
    const tell = (tickMs: number): Promise<ScheduleRecord> =>
      exchange(PARTS.TOPIC, 'name', { kind: 'raise', tickMs });
    const { lastTickMs, isRemoved, serverMs } = await tell(0);
    expect({ lastTickMs, isRemoved }).toEqual({ lastTickMs: 0, isRemoved: false });
    expect(last(await tell(serverMs - 1))).toBe(serverMs - 1);
    expect(last(await tell(serverMs - 2))).toBe(serverMs - 1);
    const ahead = await tell(serverMs + DAY_MS);
    expect(last(ahead)).toBeLessThan(ahead.serverMs + DAY_MS / 2);
    const other = await exchange(PARTS.TOPIC, 'other', { kind: 'raise', tickMs: 0 });
    expect(last(other)).toBe(0);
  });

  test('a removal holds until the schedule is declared again, which begins it anew', async () => {
    const exchange = await open();
    const tell = (kind: 'declare' | 'raise' | 'remove'): Promise<ScheduleRecord> =>
      exchange(PARTS.TOPIC, 'name', { kind, tickMs: 1 });
    expect((await tell('declare')).isRemoved).toBe(false);
    expect((await tell('remove')).isRemoved).toBe(true);
    expect(await tell('raise')).toMatchObject({ isRemoved: true, lastTickMs: 1 });
    const anew = await tell('declare');
    expect(anew).toMatchObject({ isRemoved: false, lastTickMs: anew.serverMs });
    expect((await tell('raise')).isRemoved).toBe(false);
  });
}
