import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createMemoryJournal } from '@holdfast/journal';
import { Backlog } from '../../src/fallback/backlog.ts';

const RETAIN_MS = 5_000;

test('what Redis had accepted before an outage stays in the journal through it, also when the process ends', async () => {
  const clock = createFakeClock();
  const journal = createMemoryJournal();
  const backlog = new Backlog({ journal, clock, retainMs: RETAIN_MS });
  const origin = { originEpoch: backlog.epoch, originNonce: backlog.nonce };
  const job = {
    topic: 't',
    id: 'a',
    payload: '1',
    sequence: 1,
    enqueuedAtMs: 0,
    dueAtMs: 0,
    unique: false,
    ...origin,
  };
  await backlog.append([job]);
  await backlog.accepted(journal.first);
  backlog.lostAtMs = clock.now();
  await clock.advance(4 * RETAIN_MS);
  expect(journal.next - journal.first).toBe(1);
  backlog.lostAtMs = undefined;
  await clock.advance(RETAIN_MS);
  expect(journal.next - journal.first).toBe(0);
  await clock.settle(backlog.close());
});
