/* oxlint-disable jest/no-standalone-expect -- onBoard and inBrowser are test, or test.skip where they cannot run */
import * as vm from 'node:vm';
import { afterEach, expect, test } from '@jest/globals';
import { createBullBoard } from '@bull-board/api';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { createMemoryBackend, createQueueOn } from '@holdfast/queue';
import { bullBoardAdapter } from '@holdfast/queue/bull-board';
import { fastify } from 'fastify';
import { chromium } from 'playwright-core';
import type { BoardQueue } from '../src/bull-board/topic-board.ts';
import type { Queue } from '../src/queue.ts';
import { executablePath, inBrowser } from './browser.ts';
import { openTestQueue } from './open-queue.ts';

interface Board {
  readonly url: string;
  /** What `/api/queues` shows of the topic. */
  shown(status?: string): Promise<ShownQueue>;
  /** Presses a button; resolves with the status. */
  put(path: string): Promise<number>;
}

interface ShownQueue {
  readonly displayName: string;
  readonly description: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly isPaused: boolean;
  readonly jobs: readonly {
    readonly id: string;
    readonly data: unknown;
    readonly failedReason: string;
    readonly progress: unknown;
  }[];
}

/** Fastify's plugin for files requires a module of ECMAScript, which Jest can only on a Node that has this method. */
const isRequirable = 'hasAsyncGraph' in vm.SourceTextModule.prototype;
// Node has no such method before 24.9.
const onBoard = isRequirable ? test : test.skip;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function openBoard(
  queue: BoardQueue,
  topics: readonly string[] = ['emails'],
): Promise<Board> {
  const { FastifyAdapter } = await import('@bull-board/fastify');
  const serverAdapter = new FastifyAdapter();
  const queues = topics.map((topic) => bullBoardAdapter(queue, topic));
  createBullBoard({ queues, serverAdapter });
  serverAdapter.setBasePath('/board');
  const server = fastify();
  await server.register(serverAdapter.registerPlugin(), { prefix: '/board' });
  const url = `${await server.listen({ host: '127.0.0.1', port: 0 })}/board`;
  closers.push(() => server.close());
  return {
    url,
    async shown(status = 'latest') {
      const query = `activeQueue=emails&status=${status}&page=1&jobsPerPage=10`;
      const response = await fetch(`${url}/api/queues?${query}`);
      const { queues: all }: { queues: ShownQueue[] } = JSON.parse(await response.text());
      const [first] = all;
      if (first === undefined) throw new Error('no queue is shown');
      return first;
    },
    put: async (path) =>
      (
        await fetch(`${url}/api/queues/emails/${path}`, {
          method: 'PUT',
          body: '{}',
          headers: { 'content-type': 'application/json' },
        })
      ).status,
  };
}

async function openQueue(): Promise<Queue> {
  const queue = createQueueOn(createMemoryBackend());
  closers.push(() => queue.close({ deadlineMs: 1 }).catch(() => undefined));
  await queue.ready();
  return queue;
}

/** A dead letter, two waiting jobs and a delayed one. */
async function fill(queue: Queue): Promise<void> {
  const deadLettered = nextEvent(queue, 'dead-lettered');
  const consumer = queue.process(
    'emails',
    () => {
      throw new Error('no such address');
    },
    { maxAttempts: 1 },
  );
  await queue.enqueue('emails', { to: 'nobody' }, { jobId: 'dead' });
  await deadLettered;
  await consumer.close();
  await queue.enqueueMany('emails', [
    { payload: { to: 'ada' }, jobId: 'first' },
    { payload: { to: 'eve' }, jobId: 'second' },
    { payload: { to: 'joe' }, jobId: 'later', delayMs: 3_600_000 },
  ]);
}

onBoard(
  'the dashboard shows the jobs of each state with their counts, payloads and reasons',
  async () => {
    const queue = await openQueue();
    await fill(queue);
    const board = await openBoard(queue);
    const { counts, displayName, description } = await board.shown();
    expect(counts).toMatchObject({ waiting: 2, delayed: 1, failed: 1, active: 0 });
    expect(displayName).toBe('emails');
    expect(description).toContain('direct');
    const { jobs: waiting } = await board.shown('waiting');
    expect(waiting.map(({ id, data }) => [id, data])).toEqual([
      ['first', { to: 'ada' }],
      ['second', { to: 'eve' }],
    ]);
    const { jobs: failed } = await board.shown('failed');
    expect(failed).toMatchObject([{ id: 'dead', failedReason: 'Error: no such address' }]);
    expect((await board.shown('delayed')).jobs).toMatchObject([{ id: 'later' }]);
  },
);

onBoard('its buttons redrive dead letters, promote, remove, pause, resume and empty', async () => {
  const queue = await openQueue();
  await fill(queue);
  const board = await openBoard(queue);
  expect(await board.put('pause')).toBe(200);
  expect((await board.shown()).isPaused).toBe(true);
  expect(await board.put('dead/retry')).toBe(204);
  expect((await board.shown()).counts).toMatchObject({ waiting: 3, failed: 0 });
  expect(await board.put('later/promote')).toBe(204);
  expect((await board.shown()).counts).toMatchObject({ waiting: 4, delayed: 0 });
  expect(await board.put('first/clean')).toBe(204);
  expect((await board.shown()).counts).toMatchObject({ waiting: 3 });
  expect(await board.put('empty')).toBe(200);
  expect((await board.shown()).counts).toMatchObject({ waiting: 0 });
  expect(await board.put('resume')).toBe(200);
  expect((await board.shown()).isPaused).toBe(false);
  expect(await board.put('none/retry')).toBe(404);
});

onBoard(
  'while the store is away, the dashboard shows the state of the link, the depth of the fallback, and the last counts',
  async () => {
    const { queue, backend } = openTestQueue({ clock: systemClock });
    closers.push(() => queue.close({ deadlineMs: 1 }).catch(() => undefined));
    backend.up();
    await queue.ready();
    const board = await openBoard(queue);
    await queue.enqueue('emails', 1);
    expect((await board.shown()).counts).toMatchObject({ waiting: 1 });
    backend.down();
    await queue.enqueue('emails', 2);
    const { displayName, description, counts, jobs } = await board.shown();
    expect(displayName).toBe('emails [buffering, 1 in the fallback]');
    expect(description).toContain('unreachable');
    expect(counts).toMatchObject({ waiting: 1 });
    expect(jobs).toEqual([]);
  },
);

(isRequirable ? inBrowser : onBoard)(
  'a browser shows the topics, and a click redrives a dead letter',
  async () => {
    const queue = await openQueue();
    await fill(queue);
    const board = await openBoard(queue, ['emails', 'invoices']);
    const browser = await chromium.launch({
      ...(executablePath !== undefined && { executablePath }),
      args: ['--no-sandbox'],
    });
    closers.push(() => browser.close());
    const page = await browser.newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(`${board.url}/queue/emails?status=failed`);
    await page.getByText('no such address').first().waitFor();
    await page.getByText('invoices').first().waitFor();
    const image = await page.screenshot();
    expect(image.length).toBeGreaterThan(1_000);
    await page.getByRole('button', { name: /retry/i }).first().click();
    const confirm = page.getByRole('button', { name: /confirm/i });
    await confirm.click();
    while ((await queue.inspect('emails').counts()).dead > 0) await page.waitForTimeout(50);
    expect(await queue.inspect('emails').counts()).toMatchObject({ waiting: 3, dead: 0 });
  },
);
