import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/resilience';
import type { Mark } from '../src/backend.ts';
import { createMemoryBackend } from '../src/backends/memory.ts';
import { LOST, openTestStorage, textAt } from './open-storage.ts';

test('a write that an earlier process sent, and that lands late, does not outlive its successor', async () => {
  const options = {
    acknowledgeWithinMs: 0,
    journal: { directory: '/storage', segmentBytes: 2_048 },
  };
  const first = await openTestStorage(options);
  let delayed: Mark | undefined;
  first.primary.intercept = ({ kind, mark }) => {
    if (kind !== 'put' || delayed !== undefined) return undefined;
    delayed = mark;
    return { before: LOST };
  };
  await first.storage.upload('k', 'old');
  await first.clock.advance(1);
  // So many that the journal could let go of the segment that the first one stands in.
  for (let write = 0; write < 10; write += 1) {
    await first.storage.upload(`other ${write}`, 'x'.repeat(400));
  }
  await first.storage.upload('k', 'new');
  await first.clock.advance(3_000);

  const files = first.files.crash('kill', seededRandom(1));
  // What the dead process would still ask reaches nobody.
  const primary = createMemoryBackend({ name: 'primary', clock: first.clock });
  const { storage, clock } = await openTestStorage(options, { clock: first.clock, files, primary });
  await clock.advance(3_000);
  if (delayed === undefined) throw new Error('nothing was sent');
  primary.apply('k', Buffer.from('old'), { mark: delayed });
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  await clock.advance(30_000);
  expect(textAt(primary, 'k')).toBe('new');
  expect(storage.getStats()).toMatchObject({ pendingWrites: 0, pendingBytes: 0 });
  await storage.close();
});
