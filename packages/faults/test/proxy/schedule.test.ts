import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { openBench } from '../servers.ts';

test('a schedule activates a fault, deactivates it and activates it again, until it is cleared', async () => {
  const clock = createFakeClock();
  const { proxy, close } = await openBench({ clock });
  const moments: string[] = [];
  proxy.on('changed', ({ active }) => moments.push(`${clock.now()} ${active.join()}`));
  try {
    proxy.faults.set('blackhole', { schedule: { afterMs: 100, forMs: 50, everyMs: 200 } });
    expect(proxy.faults.list()).toEqual(['blackhole']);
    await clock.advance(400);
    expect(moments).toEqual(['0 ', '100 blackhole', '150 ', '300 blackhole', '350 ']);
    await proxy.heal();
    expect(clock.pendingTimers).toBe(0);
  } finally {
    await close();
  }
});
