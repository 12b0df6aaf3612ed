import { createServer, get } from 'node:http';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { closingServer, createDrain } from '@holdfast/operations';
import { listening } from '../listening.ts';

const never = new Promise<void>(() => {});

test('a drain turns readiness off, waits, and closes in order', async () => {
  const clock = createFakeClock();
  const done: string[] = [];
  const note = (what: string) => (): void => void done.push(`${what} ${clock.now()}`);
  const drain = createDrain({
    clock,
    health: { beginDrain: note('unready') },
    database: [{ close: note('database') }],
    queue: [{ close: note('queue') }],
    http: [note('http')],
    storage: [note('storage')],
    consumers: [note('consumers')],
  });
  const result = await clock.settle(drain.run());
  expect(result.kind).toBe('drained');
  expect(done).toEqual([
    'unready 0',
    'http 5000',
    'consumers 5000',
    'queue 5000',
    'storage 5000',
    'database 5000',
  ]);
  expect(clock.pendingTimers).toBe(0);
});

test('a step that hangs leaves the later ones their time, and all of it ends within the total', async () => {
  const clock = createFakeClock();
  let isDatabaseClosed = false;
  const drain = createDrain({
    clock,
    health: { beginDrain: () => {} },
    http: [() => never],
    queue: [{ close: () => never }],
    database: [{ close: () => (isDatabaseClosed = true) }],
  });
  const result = await clock.settle(drain.run());
  expect(isDatabaseClosed).toBe(true);
  expect(result.durationMs).toBeLessThanOrEqual(25_000);
  expect(result.steps.map(({ step, kind }) => `${step} ${kind}`)).toEqual([
    'http late',
    'queue late',
    'database closed',
  ]);
  expect(result.kind).toBe('incomplete');
});

test('a step that throws keeps none of the others from closing', async () => {
  const clock = createFakeClock();
  const closed: string[] = [];
  const drain = createDrain({
    clock,
    health: { beginDrain: () => {} },
    http: [
      () => {
        throw new Error('not listening');
      },
      () => void closed.push('second server'),
    ],
    database: [() => void closed.push('database')],
  });
  const result = await clock.settle(drain.run());
  expect(closed).toEqual(['second server', 'database']);
  expect(result.steps[0]).toMatchObject({ kind: 'failed', errors: [{ message: 'not listening' }] });
});

test('it runs once, however often it is asked, and at a signal', async () => {
  const clock = createFakeClock();
  let times = 0;
  const drain = createDrain({ clock, delayMs: 0, health: { beginDrain: () => void (times += 1) } });
  const ended = Promise.withResolvers<string>();
  const stop = drain.onSignals(['SIGUSR2'], ({ kind }) => ended.resolve(kind));
  process.emit('SIGUSR2', 'SIGUSR2');
  expect(drain.run()).toBe(drain.run());
  expect(await clock.settle(ended.promise)).toBe('drained');
  expect(times).toBe(1);
  stop();
  expect(process.listenerCount('SIGUSR2')).toBe(0);
});

test('a total that is shorter than its parts, and what cannot be closed, are refused', () => {
  const health = { beginDrain: () => {} };
  expect(() => createDrain({ health, totalMs: 5_500, database: [() => {}] })).toThrow('totalMs');
  // @ts-expect-error: it cannot be closed.
  expect(() => createDrain({ health, queue: [{}] })).toThrow('queue');
});

test('a server whose client keeps its connection is closed, and an answer that has begun is finished', async () => {
  const begun = Promise.withResolvers<() => void>();
  const server = createServer((_request, response) => {
    response.write('half');
    begun.resolve(() => response.end(' and half'));
  });
  const { port } = await listening(server);
  const text = new Promise<string>((resolve, reject) => {
    get({ port, host: '127.0.0.1' }, (response) => {
      let body = '';
      response.on('data', (part) => (body += String(part)));
      response.on('end', () => resolve(body));
    }).on('error', reject);
  });
  const finish = await begun.promise;
  const drain = createDrain({
    delayMs: 0,
    health: { beginDrain: () => {} },
    http: [closingServer(server)],
  });
  const result = drain.run();
  finish();
  expect(await text).toBe('half and half');
  expect((await result).kind).toBe('drained');
});
