import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { FakeBackend } from '../fake/fake-backend.ts';
import {
  added,
  enqueueAll,
  freshDirectory,
  liveAlone,
  namesOf,
  open,
  untilSent,
} from './copied-directories.ts';

test('jobs of an earlier owner that the server loses are sent again and counted, beside own ones', async () => {
  const directory = await freshDirectory();
  const server = new FakeBackend();
  await liveAlone(directory, server, namesOf('inherited', 30));
  const one = open(directory, server);
  await enqueueAll(one, namesOf('own', 20));
  await untilSent(one);
  expect(one.queue.getStats().dataLoss).toEqual({ count: 0, jobs: 0, resent: 0 });
  one.backend.down();
  server.forget();
  server.applied.clear();
  const losses: unknown[] = [];
  one.queue.on('server-lost-jobs', ({ topic, jobs, resent }) =>
    losses.push({ topic, jobs, resent }),
  );
  const direct = nextEvent(one.queue, 'state', { matches: ({ to }) => to === 'direct' });
  one.backend.up();
  await direct;
  expect(added(server)).toEqual([...namesOf('inherited', 30), ...namesOf('own', 20)].toSorted());
  expect(losses).toEqual([
    { topic: 't', jobs: 30, resent: 30 },
    { topic: 't', jobs: 20, resent: 20 },
  ]);
  expect(one.queue.getStats().dataLoss).toEqual({ count: 2, jobs: 50, resent: 50 });
});

test('jobs of an earlier owner that the server still has are not counted after an outage', async () => {
  const directory = await freshDirectory();
  const server = new FakeBackend();
  await liveAlone(directory, server, namesOf('inherited', 30));
  const one = open(directory, server);
  await untilSent(one);
  one.backend.down();
  const direct = nextEvent(one.queue, 'state', { matches: ({ to }) => to === 'direct' });
  one.backend.up();
  await direct;
  expect(one.queue.getStats().dataLoss).toEqual({ count: 0, jobs: 0, resent: 0 });
  expect(added(server)).toEqual(namesOf('inherited', 30).toSorted());
});
