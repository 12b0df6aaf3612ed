import { afterAll, expect, test } from '@jest/globals';
import { environment, seededRandom } from '@holdfast/foundation';
import { createResilientFetch } from '@holdfast/network';
import { openRawServer, whole } from '../../../src/fetch/raw-server.ts';
import { TestDialer } from '../../../src/fetch/test-dialer.ts';

/** Races; `HOLDFAST_RUNS=100000` for the full count. */
const RACES = Number(environment['HOLDFAST_RUNS'] ?? 1_000);
const SEED = Number(environment['HOLDFAST_SEED'] ?? 1);
const CONCURRENCY = 20;

const opened: { close(): Promise<void> }[] = [];
afterAll(async () => {
  for (const one of opened.splice(0)) await one.close();
});

test(`${RACES} kept connections closed as a request arrives send no POST twice, and every GET is answered (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const effects = new Map<string, number>();
  const count = { races: 0 };
  const server = await openRawServer((socket, { path, number }) => {
    if (number > 1 && random() < 0.5) {
      // With the effect done, or without a look at the request.
      if (random() < 0.5) effects.set(path, (effects.get(path) ?? 0) + 1);
      count.races += 1;
      if (random() < 0.5) socket.resetAndDestroy();
      else socket.end();
      return;
    }
    effects.set(path, (effects.get(path) ?? 0) + 1);
    socket.write(whole('answer'));
    // Closes the idle connection when the next request may be on its way.
    if (random() < 0.3) {
      const close = (): void => {
        count.races += 1;
        socket.end();
      };
      if (random() < 0.5) setImmediate(close);
      else setTimeout(close, random() * 2);
    }
  });
  const resilientFetch = createResilientFetch({
    dialer: new TestDialer(),
    maxConcurrent: CONCURRENCY,
    // Only the immediate attempt is on trial.
    retry: { maxAttempts: 1 },
    circuitBreaker: { failureThreshold: 1_000 },
  });
  opened.push(resilientFetch, server);
  let next = 0;
  let gets = 0;
  let unanswered = 0;
  const work = async (): Promise<void> => {
    while (count.races < RACES) {
      const id = (next += 1);
      const isPost = random() < 0.3;
      const call = resilientFetch(`${server.url}${isPost ? 'post' : 'get'}/${id}`, {
        method: isPost ? 'POST' : 'GET',
      });
      const isAnswered = await call.then(
        async (response) => (await response.text()) === 'answer',
        () => false,
      );
      if (isPost) continue;
      gets += 1;
      if (!isAnswered) unanswered += 1;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  const twice = [...effects].filter(([path, times]) => path.startsWith('/post') && times > 1);
  expect(twice).toStrictEqual([]);
  expect(unanswered / gets).toBeLessThanOrEqual(0.0001);
  expect(resilientFetch.getStats().freshRetries).toBeGreaterThan(RACES / 10);
});
