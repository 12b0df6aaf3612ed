import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent, systemClock } from '@holdfast/foundation';
import type { FakeBackend } from '../fake/fake-backend.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];
const directories: string[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ queue }) => queue.close({ deadlineMs: 1 })));
  await Promise.all(
    directories.splice(0).map((directory) => rm(directory, { recursive: true, force: true })),
  );
});

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-queue-'));
  directories.push(directory);
  return directory;
}

function open(directory: string, server?: FakeBackend): TestQueue {
  const fallback = { journal: { directory } };
  const opening = openTestQueue({ clock: systemClock, fallback }, server);
  opened.push(opening);
  return opening;
}

test('a second owner of the journal is rejected with the identity of the first, and changes nothing', async () => {
  const directory = await freshDirectory();
  const first = open(directory);
  first.backend.up();
  await first.queue.ready();
  const before = (await readdir(directory)).toSorted();
  const second = open(directory);
  const message = expect.stringContaining('open in this process already');
  const locked = { code: 'JOURNAL_LOCKED', directory, pid: process.pid, message };
  await expect(second.queue.ready()).rejects.toMatchObject(locked);
  await expect(second.queue.enqueue('t', 1)).rejects.toMatchObject(locked);
  expect((await readdir(directory)).toSorted()).toEqual(before);
  await expect(first.queue.enqueue('t', 1)).resolves.toMatchObject({ accepted: 'redis' });
});

test('a queue whose journal was owned by another one opens it once the owner is gone, without a call too', async () => {
  const directory = await freshDirectory();
  const first = open(directory);
  first.backend.up();
  await first.queue.ready();
  const calling = open(directory);
  await expect(calling.queue.enqueue('t', 1)).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  await first.queue.close();
  const accepted = calling.queue.enqueue('t', 1);
  await calling.backend.opened;
  calling.backend.up();
  expect(await accepted).toMatchObject({ accepted: 'redis' });

  // A consumer calls nothing.
  const waiting = open(directory);
  const handled = new Promise<unknown>((resolve) => {
    waiting.queue.process('t', ({ payload }) => resolve(payload));
  });
  await expect(waiting.queue.ready()).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  await calling.queue.close();
  await waiting.backend.opened;
  waiting.backend.up();
  await waiting.queue.enqueue('t', 2);
  expect(await handled).toBe(2);
});

test('a queue whose journal did not open can be closed, with its consumers', async () => {
  const directory = await freshDirectory();
  const first = open(directory);
  first.backend.up();
  await first.queue.ready();
  const second = open(directory);
  const consumer = second.queue.process('t', () => undefined);
  await expect(second.queue.ready()).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  await second.queue.close();
  expect(consumer.getStats().running).toBe(0);
  await expect(second.queue.enqueue('t', 1)).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
});

test('the next owner drains the jobs of the previous owner before its own', async () => {
  const directory = await freshDirectory();
  const first = open(directory);
  await first.backend.opened;
  const jobs = [1, 2, 3].map((job) => first.queue.enqueue('t', job));
  first.backend.down();
  first.backend.failAttempt({ errorClass: 'unreachable', message: 'connection refused' });
  await Promise.all(jobs);
  await first.queue.close();

  const second = open(directory);
  const own = second.queue.enqueue('t', 4);
  await second.backend.opened;
  expect(second.queue.getStats().backlog).toMatchObject({
    jobs: 3,
    oldestAgeMs: expect.any(Number),
  });
  second.backend.up();
  await own;
  await second.queue.enqueue('t', 5);
  expect(second.backend.applied.get('t')).toEqual(['1', '2', '3', '4', '5']);
});

/** An owner that drains three jobs of its journal and then dies. */
async function bringOver(directory: string): Promise<FakeBackend> {
  const { queue, backend } = open(directory);
  await backend.opened;
  const jobs = [1, 2, 3].map((job) => queue.enqueue('t', job));
  backend.down();
  backend.failAttempt({ errorClass: 'unreachable', message: 'connection refused' });
  await Promise.all(jobs);
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  await queue.close();
  expect(backend.applied.get('t')).toEqual(['1', '2', '3']);
  return backend;
}

test('jobs that the previous owner had drained, and the server has lost since, are sent again first', async () => {
  const directory = await freshDirectory();
  await bringOver(directory);
  const second = open(directory);
  second.backend.up();
  await second.queue.enqueue('t', 4);
  expect(second.backend.applied.get('t')).toEqual(['1', '2', '3', '4']);
});

test('jobs that the previous owner had drained are not applied again by a server that has them', async () => {
  const directory = await freshDirectory();
  const server = await bringOver(directory);
  const second = open(directory, server);
  second.backend.up();
  await second.queue.enqueue('t', 4);
  expect(second.backend.applied.get('t')).toEqual(['1', '2', '3', '4']);
});

test('jobs inherited from the previous owner are sent again when the server loses them later', async () => {
  const directory = await freshDirectory();
  await bringOver(directory);
  const { queue, backend } = open(directory);
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  await queue.enqueue('t', 4);
  backend.down();
  backend.forget();
  backend.applied.clear();
  const own = queue.enqueue('t', 5);
  const drainedAgain = nextEvent(queue, 'drained');
  backend.up();
  await Promise.all([own, drainedAgain]);
  expect(backend.applied.get('t')).toEqual(['1', '2', '3', '4', '5']);
});
