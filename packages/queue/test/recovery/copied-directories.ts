import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import type { QueueOptions } from '../../src/options.ts';
import type { Accepted, NewJob } from '../../src/queue.ts';
import type { FakeBackend } from '../fake/fake-backend.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const TOPIC = 't';

/** What the queues of a directory are opened with, and what their jobs are. */
export interface KindOfJobs {
  readonly options?: Partial<QueueOptions>;
  readonly job?: (name: string) => Omit<NewJob, 'payload'>;
}

const opened: TestQueue[] = [];
const directories: string[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ queue }) => queue.close({ deadlineMs: 1 })));
  const rms = directories.splice(0).map((path) => rm(path, { recursive: true, force: true }));
  await Promise.all(rms);
});

export async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-queue-'));
  directories.push(directory);
  return directory;
}

/** A copy as a snapshot makes it; also of a directory in use, whose owner no process of the copy's machine is. */
export async function copyOf(directory: string): Promise<string> {
  const copy = await freshDirectory();
  await cp(directory, copy, { recursive: true });
  for (const name of await readdir(copy)) {
    if (!name.startsWith('owner.')) continue;
    const path = join(copy, name);
    const record: object = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...record, released: true }));
  }
  return copy;
}

/** Opens a queue on a directory and the shared server, which is up unless said otherwise. */
export function open(
  directory: string,
  server: FakeBackend,
  { options }: KindOfJobs = {},
  isUp = true,
): TestQueue {
  const own = { clock: systemClock, fallback: { journal: { directory } } };
  const one = openTestQueue({ ...own, ...options }, server);
  opened.push(one);
  if (isUp) one.backend.up();
  return one;
}

export function enqueueAll(
  { queue }: TestQueue,
  names: readonly string[],
  { job = () => ({}) }: KindOfJobs = {},
): Promise<Accepted[]> {
  const enqueued = names.map((name) => queue.enqueue(TOPIC, name, job(name)));
  return Promise.all(enqueued);
}

export function namesOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** The jobs that the server has added, each as often as it did, in this order. */
export function addedInOrder(server: FakeBackend): string[] {
  return (server.applied.get(TOPIC) ?? []).map((payload) => String(JSON.parse(payload)));
}

export function added(server: FakeBackend): string[] {
  return addedInOrder(server).toSorted();
}

function nextMillisecond(): Promise<void> {
  return new Promise((resolve) => {
    systemClock.schedule(1, resolve);
  });
}

/** Resolves once the server has all that the queue has accepted. */
export async function untilSent({ queue }: TestQueue): Promise<void> {
  while (queue.state !== 'direct' || queue.getStats().backlog.jobs > 0) await nextMillisecond();
}

/** One life of a process on the directory. */
export async function live(
  directory: string,
  server: FakeBackend,
  names: readonly string[],
  kind: KindOfJobs = {},
): Promise<void> {
  const one = open(directory, server, kind);
  await enqueueAll(one, names, kind);
  await untilSent(one);
  await one.queue.close();
}

/** A life while the server is down: its jobs are in the journal at its end. */
export async function liveAlone(
  directory: string,
  server: FakeBackend,
  names: readonly string[],
  kind: KindOfJobs = {},
): Promise<void> {
  const one = open(directory, server, kind, false);
  await one.backend.opened;
  const jobs = enqueueAll(one, names, kind);
  one.backend.failAttempt({ errorClass: 'unreachable', message: 'connection refused' });
  await jobs;
  await one.queue.close();
}
