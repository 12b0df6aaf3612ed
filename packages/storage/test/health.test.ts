import { expect, test } from '@jest/globals';
import { AWAY, DENIED, openTestStorage } from './open-storage.ts';

const MINUTE_MS = 60_000;

test('health says since when an idle backend has not answered, and finds out by a request of its own', async () => {
  const { storage, clock, primary, mirror } = await openTestStorage();
  await storage.upload('k', 'x');
  await clock.settle(storage.flush({ deadlineMs: MINUTE_MS }));
  await clock.advance(MINUTE_MS);
  primary.intercept = () => ({ before: AWAY });
  const known = storage.health();
  expect(known.backends['primary']?.answeredMsAgo).toBeGreaterThanOrEqual(MINUTE_MS);
  await clock.advance(1);
  expect(storage.health()).toMatchObject({
    level: 'degraded',
    backends: {
      primary: { state: 'down', lastError: AWAY.message },
      mirror: { state: 'up', answeredMsAgo: 1 },
    },
  });
  mirror.intercept = () => ({ before: AWAY });
  await clock.advance(11_000);
  storage.health();
  await clock.advance(1);
  expect(storage.health().level).toBe('critical');
  primary.intercept = () => undefined;
  mirror.intercept = () => ({ before: DENIED });
  await clock.advance(11_000);
  storage.health();
  await clock.advance(1);
  // A refusal is an answer.
  expect(storage.health().level).toBe('healthy');
  await storage.close();
});

test('a backend that swallows the request is known after 5 s, and is asked once in 10 s', async () => {
  const { storage, clock, primary } = await openTestStorage();
  let asked = 0;
  primary.intercept = (_, signal) => {
    asked += 1;
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve({ before: AWAY }), { once: true });
    });
  };
  for (let second = 0; second < 31; second += 1) {
    storage.health();
    await clock.advance(1_000);
  }
  expect(asked).toBe(4);
  expect(storage.health()).toMatchObject({ backends: { primary: { state: 'down' } } });
  expect(storage.health().backends['primary']?.answeredMsAgo).toBeUndefined();
  await storage.close();
  expect(clock.pendingTimers).toBe(0);
});

test('writes and reads are answers: a busy backend is not asked', async () => {
  const { storage, clock, primary } = await openTestStorage();
  await storage.upload('k', 'x');
  await clock.settle(storage.flush({ deadlineMs: MINUTE_MS }));
  const kinds: string[] = [];
  primary.intercept = ({ kind }) => void kinds.push(kind);
  for (let second = 0; second < 30; second += 1) {
    await storage.download('k');
    storage.health();
    await clock.advance(1_000);
  }
  expect(new Set(kinds)).toEqual(new Set(['get']));
  await storage.close();
});
