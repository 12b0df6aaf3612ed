import { expect, test } from '@jest/globals';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { createMemoryJournal } from '@holdfast/journal';
import { DurableQueue } from '../../src/durable-queue.ts';
import { parseQueueOptions } from '../../src/options.ts';
import type { QueueEvents } from '../../src/queue.ts';
import { FakeBackend } from '../fake/fake-backend.ts';
import {
  added,
  copyOf,
  enqueueAll,
  freshDirectory,
  live,
  liveAlone,
  namesOf,
  open,
} from './copied-directories.ts';

test.each([1, 2, 3])(
  'the jobs of a directory that was restored from %i lives back are added, under a new identity',
  async (lives) => {
    const directory = await freshDirectory();
    const server = new FakeBackend();
    await live(directory, server, namesOf('before', 3));
    const restored = await copyOf(directory);
    const expected = namesOf('before', 3);
    for (let life = 1; life <= lives; life += 1) {
      await live(directory, server, namesOf(`life-${life}`, 60));
      expected.push(...namesOf(`life-${life}`, 60));
    }
    const one = open(restored, server);
    const renewals: QueueEvents['identity-renewed'][] = [];
    one.queue.on('identity-renewed', (event) => renewals.push(event));
    await enqueueAll(one, namesOf('restored', 60));
    await one.queue.enqueue('t', 'last');
    expect(added(server)).toEqual([...expected, ...namesOf('restored', 60), 'last'].toSorted());
    expect(renewals).toHaveLength(1);
    expect(one.queue.getStats()).toMatchObject({ state: 'direct', identityRenewals: 1 });
  },
);

test('each next life of a restored directory adds its jobs, until it has passed the original', async () => {
  const directory = await freshDirectory();
  const server = new FakeBackend();
  await live(directory, server, ['a']);
  const restored = await copyOf(directory);
  await live(directory, server, ['b']);
  await live(directory, server, ['c']);
  for (const name of ['d', 'e', 'f', 'g']) await live(restored, server, [name]);
  const last = open(restored, server);
  await enqueueAll(last, ['h']);
  expect(added(server)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
  expect(last.queue.getStats().identityRenewals).toBe(0);
});

test('jobs that a restored directory took into its journal are added by its next life', async () => {
  const directory = await freshDirectory();
  const server = new FakeBackend();
  await live(directory, server, ['before']);
  const restored = await copyOf(directory);
  await live(directory, server, namesOf('original', 5));
  await live(directory, server, namesOf('later', 5));
  await liveAlone(restored, server, namesOf('restored', 5));
  await live(restored, server, ['own']);
  const expected = [...namesOf('original', 5), ...namesOf('later', 5), ...namesOf('restored', 5)];
  expect(added(server)).toEqual([...expected, 'before', 'own'].toSorted());
});

test('of two clones at once, both add all their own jobs, and the jobs in both journals once', async () => {
  const directory = await freshDirectory();
  const server = new FakeBackend();
  await liveAlone(directory, server, namesOf('shared', 20));
  const clones = [await copyOf(directory), await copyOf(directory)].map((path) =>
    open(path, server),
  );
  const both = clones.map((clone, index) => enqueueAll(clone, namesOf(`clone-${index}`, 100)));
  await Promise.all(both);
  await Promise.all(clones.map((clone, index) => enqueueAll(clone, [`end-${index}`])));
  const own = [...namesOf('clone-0', 100), ...namesOf('clone-1', 100)];
  expect(added(server)).toEqual([...namesOf('shared', 20), ...own, 'end-0', 'end-1'].toSorted());
  const renewals = clones.map(({ queue }) => queue.getStats().identityRenewals);
  expect(renewals.reduce((sum, count) => sum + count)).toBe(1);
});

test('clones that lose the server in turns lose and double nothing', async () => {
  const directory = await freshDirectory();
  const server = new FakeBackend();
  await live(directory, server, ['before']);
  const clones = [await copyOf(directory), await copyOf(directory), directory].map((path) =>
    open(path, server),
  );
  await Promise.all(clones.map(({ queue }) => queue.ready()));
  const expected = ['before'];
  for (let round = 0; round < 6; round += 1) {
    const away = clones[round % clones.length];
    away?.backend.down();
    const names = clones.map((_, index) => namesOf(`${round}-${index}`, 60));
    const jobs = clones.map((clone, index) => enqueueAll(clone, names[index] ?? []));
    expected.push(...names.flat());
    await Promise.all(jobs);
    if (away === undefined) continue;
    const drained = nextEvent(away.queue, 'drained');
    away.backend.up();
    await drained;
  }
  expect(added(server)).toEqual(expected.toSorted());
});

test('a copy on a server that has forgotten everything keeps its identity and adds its jobs', async () => {
  const directory = await freshDirectory();
  const server = new FakeBackend();
  await live(directory, server, ['before']);
  const restored = await copyOf(directory);
  await live(directory, server, namesOf('original', 10));
  server.forget();
  server.applied.clear();
  const one = open(restored, server);
  await enqueueAll(one, namesOf('restored', 10));
  // The original comes back, on a server that knows another owner of its epoch by now or later.
  await live(directory, server, namesOf('again', 10));
  await enqueueAll(one, ['last']);
  const expected = [...namesOf('restored', 10), ...namesOf('again', 10), 'last'];
  expect(added(server)).toEqual(expected.toSorted());
  expect(one.queue.getStats().state).toBe('direct');
});

test('a process whose journal was taken over stays fenced, and keeps its jobs', async () => {
  const server = new FakeBackend();
  const backend = new FakeBackend(server);
  const journal = createMemoryJournal();
  const options = { redis: { url: 'redis://127.0.0.1:1' }, clock: systemClock };
  const resolved = parseQueueOptions({ ...options, fallback: { journal: { directory: '/d' } } });
  const queue = new DurableQueue(backend, resolved, {
    open: async () => journal,
    exists: async () => false,
  });
  backend.up();
  await queue.enqueue('t', 'own');
  const owners = server.topics.get('t')?.owners;
  owners?.set(journal.id, { epoch: journal.epoch + 1, nonce: 'successor' });
  const appendAll = journal.appendAll.bind(journal);
  journal.appendAll = async (payloads) => {
    if (payloads.length === 0) throw new Error('another process owns the journal');
    return appendAll(payloads);
  };
  await expect(queue.enqueue('t', 'late')).resolves.toMatchObject({ accepted: 'journal' });
  const stats = { state: 'blocked', errorClass: 'fenced', identityRenewals: 0 };
  expect(queue.getStats()).toMatchObject({ ...stats, backlog: { jobs: 1 } });
  expect(added(server)).toEqual(['own']);
  await queue.close({ deadlineMs: 1 });
});
