import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type DescriptorSource,
  createBudget,
  createDescriptorPool,
} from '@holdfast/network/limits';

const reasonOf = (error: unknown): unknown => error;
const shortage = (code = 'EMFILE'): Error => Object.assign(new Error(code), { code });

/** A system with so many descriptors. */
function systemOf(descriptors: number) {
  const open = new Set<string>();
  const closed: string[] = [];
  const tried: string[] = [];
  const source = (name: string, key?: string): DescriptorSource<string> => ({
    ...(key === undefined ? {} : { key }),
    async open() {
      tried.push(name);
      if (open.size >= descriptors) throw shortage();
      open.add(name);
      return name;
    },
    async close(handle) {
      open.delete(handle);
      closed.push(handle);
    },
  });
  return { open, closed, tried, source };
}

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});
async function folderOf(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-limits-'));
  folders.push(folder);
  return folder;
}

test('handles file descriptor exhaustion: what is in use is never closed, the idle one used longest ago is', async () => {
  const system = systemOf(10);
  const clock = createFakeClock();
  const pool = createDescriptorPool({ maxOpen: 3, clock });
  const busy = await pool.acquire(system.source('busy', 'busy'));
  await (await pool.acquire(system.source('a', 'a'))).release();
  await (await pool.acquire(system.source('b', 'b'))).release();
  expect(pool.getStats()).toMatchObject({ inUse: 1, idle: 1 });
  const c = await pool.acquire(system.source('c', 'c'));
  const d = await pool.acquire(system.source('d', 'd'));
  expect(system.open).toEqual(new Set(['busy', 'c', 'd']));
  const waits = pool.acquire(system.source('e', 'e'));
  await clock.advance(0);
  expect(pool.getStats()).toMatchObject({ inUse: 3, waiting: 1 });
  await busy.release();
  expect((await waits).handle).toBe('e');
  expect(system.closed).not.toContain('c');
  await Promise.all([c.release(), d.release()]);
  await pool.close();
});

test('leases of one key share a descriptor, which is closed only after the last of them', async () => {
  const system = systemOf(10);
  const pool = createDescriptorPool({ maxOpen: 8 });
  const [first, second] = await Promise.all([
    pool.acquire(system.source('log', 'log')),
    pool.acquire(system.source('log', 'log')),
  ]);
  expect(system.tried).toEqual(['log']);
  await first.release();
  await first.release();
  await pool.close();
  expect(system.closed).toEqual([]);
  await second.release();
  expect(system.closed).toEqual(['log']);
});

test.each(['EMFILE', 'ENFILE', 'ERR_WORKER_INIT_FAILED'])(
  'calls that find no descriptor (%s) wait in the order of their calls and go on as some come free',
  async (code) => {
    const clock = createFakeClock();
    let free = 0;
    const order: number[] = [];
    const pool = createDescriptorPool({ maxOpen: 100, clock });
    const calls = [1, 2, 3, 4].map((call) =>
      pool.acquire({
        async open() {
          if (free === 0) throw Object.assign(new Error('wrapped'), { cause: shortage(code) });
          free -= 1;
          order.push(call);
          return call;
        },
        close: () => undefined,
      }),
    );
    await clock.advance(1_000);
    expect(order).toEqual([]);
    free = 2;
    await clock.advance(500);
    expect(order).toEqual([1, 2]);
    free = 2;
    await clock.advance(500);
    expect(order).toEqual([1, 2, 3, 4]);
    for (const lease of await Promise.all(calls)) await lease.release();
    expect(pool.getStats()).toMatchObject({ inUse: 0, waiting: 0 });
    expect(clock.pendingTimers).toBe(0);
  },
);

test('a newcomer does not overtake what waits for the system', async () => {
  const clock = createFakeClock();
  const system = systemOf(1);
  const pool = createDescriptorPool({ maxOpen: 100, clock });
  const held = await pool.acquire(system.source('held'));
  const first = pool.acquire(system.source('first'));
  await clock.advance(1);
  const second = pool.acquire(system.source('second'));
  await clock.advance(1);
  expect(system.tried).not.toContain('second');
  await held.release();
  await (await first).release();
  expect((await second).handle).toBe('second');
});

test('a release in the pool is seen at once, not at the next try', async () => {
  const clock = createFakeClock();
  const system = systemOf(1);
  const pool = createDescriptorPool({ maxOpen: 100, clock });
  const held = await pool.acquire(system.source('held'));
  const waits = pool.acquire(system.source('next'));
  await clock.advance(3_000);
  const atMs = clock.now();
  await held.release();
  await waits;
  expect(clock.now()).toBe(atMs);
});

test('at the deadline the error says what is in use and what to do', async () => {
  const clock = createFakeClock();
  const system = systemOf(1);
  const pool = createDescriptorPool({ maxOpen: 100, timeoutMs: 1_000, clock });
  await pool.acquire(system.source('held'));
  const late = pool.acquire(system.source('late')).catch(reasonOf);
  await clock.advance(1_000);
  expect(await late).toMatchObject({
    code: 'NETWORK_DESCRIPTORS_EXHAUSTED',
    retryable: true,
    outcome: 'not-applied',
    inUse: 1,
    limit: 100,
    cause: { code: 'EMFILE' },
    message: expect.stringContaining('ulimit -n'),
  });
});

test('a pool at its own limit says so at the deadline, and serves the next one after a release', async () => {
  const clock = createFakeClock();
  const system = systemOf(5);
  const pool = createDescriptorPool({ maxOpen: 1, clock });
  const held = await pool.acquire(system.source('held'));
  const late = pool.acquire(system.source('late'), { timeoutMs: 100 }).catch(reasonOf);
  await clock.advance(100);
  expect(await late).toMatchObject({ code: 'NETWORK_DESCRIPTORS_EXHAUSTED', limit: 1 });
  await held.release();
  await pool.acquire(system.source('next'));
});

test('a name that is not found while there was no descriptor is asked for again', async () => {
  const clock = createFakeClock();
  const pool = createDescriptorPool({ maxOpen: 100, clock });
  let isShort = true;
  let lookups = 0;
  const fails = pool.acquire({
    async open() {
      if (isShort) throw shortage();
      return 'file';
    },
    close: () => undefined,
  });
  const lookup = pool.acquire({
    async open() {
      lookups += 1;
      if (isShort) throw shortage('ENOTFOUND');
      return 'socket';
    },
    close: () => undefined,
  });
  await clock.advance(50);
  isShort = false;
  await clock.advance(1_000);
  expect((await fails).handle).toBe('file');
  expect((await lookup).handle).toBe('socket');
  expect(lookups).toBeGreaterThan(1);
});

test('a name that is not found while there are descriptors is not found', async () => {
  const pool = createDescriptorPool({ maxOpen: 100 });
  const failure = shortage('ENOTFOUND');
  const source = { open: () => Promise.reject(failure), close: () => undefined };
  await expect(pool.acquire(source)).rejects.toBe(failure);
  expect(pool.getStats()).toMatchObject({ inUse: 0, exhausted: 0 });
});

test('an abort ends the wait, and what is opened after it is closed', async () => {
  const clock = createFakeClock();
  const system = systemOf(1);
  const pool = createDescriptorPool({ maxOpen: 100, clock });
  const held = await pool.acquire(system.source('held'));
  const controller = new AbortController();
  const waits = pool.acquire(system.source('gone'), { signal: controller.signal }).catch(reasonOf);
  await clock.advance(10);
  controller.abort('gone');
  expect(await waits).toBe('gone');
  await held.release();
  let finish: (handle: string) => void = () => undefined;
  const closed: string[] = [];
  const late = new AbortController();
  const opening = pool
    .acquire(
      {
        open: () => new Promise<string>((resolve) => (finish = resolve)),
        close: (handle) => closed.push(handle),
      },
      { signal: late.signal },
    )
    .catch(reasonOf);
  await clock.advance(1);
  late.abort('late');
  expect(await opening).toBe('late');
  finish('socket');
  await clock.advance(1);
  expect(closed).toEqual(['socket']);
  expect(pool.getStats()).toMatchObject({ inUse: 0, waiting: 0 });
  expect(clock.pendingTimers).toBe(0);
});

test('the abort of the call that opens a shared handle does not fail the one that joined it', async () => {
  const system = systemOf(5);
  const pool = createDescriptorPool({ maxOpen: 5 });
  const controller = new AbortController();
  const first = pool
    .acquire(
      { key: 'k', open: () => new Promise<string>(() => undefined), close: () => undefined },
      { signal: controller.signal },
    )
    .catch(reasonOf);
  await Promise.resolve();
  const second = pool.acquire(system.source('own', 'k'));
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort('gone');
  expect(await first).toBe('gone');
  expect((await second).handle).toBe('own');
});

test('a failing close gives the descriptor back nevertheless', async () => {
  const pool = createDescriptorPool({ maxOpen: 1 });
  const failure = new Error('EIO');
  const lease = await pool.acquire({ open: () => 1, close: () => Promise.reject(failure) });
  await expect(lease.release()).rejects.toBe(failure);
  const next = await pool.acquire({ open: () => 2, close: () => undefined });
  expect(next.handle).toBe(2);
});

test('idle handles of a pool make room for what else takes descriptors of the budget', async () => {
  const budget = createBudget({ limits: { descriptors: 4 }, evictAt: 1, shedAt: 1 });
  const system = systemOf(10);
  const pool = createDescriptorPool({ budget });
  for (const name of ['a', 'b', 'c'])
    await (await pool.acquire(system.source(name, name))).release();
  await budget.reserve({ descriptors: 3 });
  expect(system.closed).toEqual(['a', 'b']);
  expect(pool.getStats()).toMatchObject({ idle: 1, evicted: 2 });
});

test('a kept file is opened once, and anew when another file has its name', async () => {
  const path = join(await folderOf(), 'file');
  await writeFile(path, 'old');
  const pool = createDescriptorPool({ maxOpen: 10 });
  const read = async (): Promise<[number, string]> => {
    const lease = await pool.openFile(path, { keep: true });
    const { bytesRead, buffer } = await lease.handle.read(Buffer.alloc(10), 0, 10, 0);
    await lease.release();
    return [lease.handle.fd, buffer.toString('latin1', 0, bytesRead)];
  };
  const [fd] = await read();
  expect(await read()).toEqual([fd, 'old']);
  await writeFile(`${path}.new`, 'new');
  await rename(`${path}.new`, path);
  expect((await read())[1]).toBe('new');
  await rm(path);
  await expect(read()).rejects.toMatchObject({ code: 'ENOENT' });
  expect(pool.getStats()).toMatchObject({ inUse: 0, idle: 0 });
  await pool.close();
});

test('the lease of a socket ends with the socket', async () => {
  const server = createServer((socket) => socket.on('error', () => undefined).end('bye')).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const pool = createDescriptorPool({ maxOpen: 1 });
  const lease = await pool.connect({ port, host: '127.0.0.1' });
  lease.handle.resume();
  // There is one: it waits for the end of the first.
  const next = await pool.connect({ port, host: '127.0.0.1' });
  await next.release();
  expect(next.handle.destroyed).toBe(true);
  expect(pool.getStats().inUse).toBe(0);
  server.close();
  await once(server, 'close');
  await expect(pool.connect({ port, host: '127.0.0.1' })).rejects.toMatchObject({
    code: 'ECONNREFUSED',
  });
});

test('a closed pool refuses what waits and what comes', async () => {
  const system = systemOf(5);
  const pool = createDescriptorPool({ maxOpen: 1 });
  const held = await pool.acquire(system.source('held'));
  const waits = pool.acquire(system.source('waits')).catch(reasonOf);
  await pool.close();
  expect(await waits).toMatchObject({ code: 'NETWORK_CLOSED' });
  await expect(pool.acquire(system.source('x'))).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
  expect(system.closed).toEqual([]);
  await held.release();
  expect(system.closed).toEqual(['held']);
});

test.each([
  [{ maxOpen: 0 }, 'maxOpen'],
  [{ timeoutMs: 0 }, 'timeoutMs'],
  [{ max: 1 }, 'max'],
  [{ budget: createBudget({ limits: { bytes: 1 } }) }, 'budget'],
  [{ budget: createBudget({ limits: { descriptors: 1 } }), maxOpen: 5 }, 'maxOpen'],
])('createDescriptorPool is refused by the name of the option (%#)', (options, field) => {
  expect(() => Reflect.apply(createDescriptorPool, undefined, [options])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test.each([
  ['', {}, 'path'],
  ['a\0b', {}, 'path'],
  ['a', { flags: 'w', keep: true }, 'flags'],
  ['a', { mode: -1 }, 'mode'],
  ['a', { timeoutMs: 0 }, 'timeoutMs'],
])('openFile(%j, %j) is refused by the name of %s', async (path, options, field) => {
  const pool = createDescriptorPool({ maxOpen: 1 });
  await expect((async () => pool.openFile(path, options))()).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field,
  });
});
