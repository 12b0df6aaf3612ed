import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Database, createDatabase } from '@holdfast/database';
import { type FakePostgres, createFakePostgres } from '@holdfast/emulators/postgres';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { createPostgresLock } from '../../src/postgres.ts';

const LEASE_MS = 9_000;
const PROOF_MS = 3_000;
const HELD = /^select exists/;
const TAKE = /pg_try_advisory_lock/;

let server: FakePostgres;
let database: Database;
let clock: FakeClock;
beforeEach(async () => {
  server = await createFakePostgres({
    script: [
      [TAKE, { rows: [{ taken: true }] }],
      [/setval/, ({ values }) => ({ rows: [{ token: String(Number(values[1]) + 1) }] })],
      [/^create sequence/, { command: 'CREATE SEQUENCE' }],
      [/idle_session_timeout/, { rows: [{ set_config: '9000' }] }],
      [HELD, { rows: [{ held: true }] }],
    ],
  });
  database = createDatabase({ hosts: server.url });
  clock = createFakeClock();
});
afterEach(async () => {
  await database.close({ deadlineMs: 1 });
  await server.close();
});

const open = (): ReturnType<typeof createPostgresLock> =>
  createPostgresLock({ database, clock, leaseMs: LEASE_MS });
const LOST = { code: 'CATALOG_LOCK_LOST' };

/** A lease that waits for its next proof has two timers, for that and for its end; one that is over has none. */
async function timersLeft(count: 0 | 2): Promise<void> {
  while (clock.pendingTimers !== count) await new Promise(setImmediate);
}

test('each proof makes the lease last from before its call', async () => {
  const lease = await open().acquire();
  for (let proofs = 1; proofs <= 5; proofs += 1) {
    await clock.advance(PROOF_MS);
    await timersLeft(2);
  }
  expect(lease.signal.aborted).toBe(false);
  server.reply(HELD, 'never');
  await clock.advance(LEASE_MS - 1);
  expect(lease.signal.aborted).toBe(false);
  await clock.advance(1);
  expect(lease.signal.reason).toMatchObject(LOST);
});

test('a process that stood still for the whole lease has lost it, whatever the server says', async () => {
  const lease = await open().acquire();
  await clock.advance(LEASE_MS);
  expect(lease.signal.reason).toMatchObject(LOST);
  expect(clock.pendingTimers).toBe(0);
});

test('a step of the wall clock changes nothing', async () => {
  const lease = await open().acquire();
  clock.stepWallClock(86_400_000);
  await clock.advance(PROOF_MS);
  await timersLeft(2);
  expect(lease.signal.aborted).toBe(false);
});

test('a session that no longer has the lock has lost the lease', async () => {
  const lease = await open().acquire();
  server.reply(HELD, { rows: [{ held: false }] });
  await clock.advance(PROOF_MS);
  await timersLeft(0);
  expect(lease.signal.reason).toMatchObject(LOST);
});

test('a connection that is lost ends the lease at the next proof', async () => {
  const lease = await open().acquire();
  server.drop();
  await clock.advance(PROOF_MS);
  await timersLeft(0);
  expect(lease.signal.reason).toMatchObject(LOST);
});

test('a released lease asks nothing more, and is not lost', async () => {
  const lock = open();
  const lease = await lock.acquire({ above: 6 });
  expect(lease.token).toBe(7);
  await lease.release();
  expect(clock.pendingTimers).toBe(0);
  await clock.advance(LEASE_MS);
  expect(lease.signal.aborted).toBe(false);
  await lock.close();
});

test('the lock that is closed ends its leases, and says at the next one that it is closed', async () => {
  const lock = open();
  const lease = await lock.acquire();
  const heard: unknown[] = [];
  lease.signal.addEventListener('abort', () => heard.push(lease.signal.reason));
  await lock.close();
  expect(heard).toMatchObject([LOST]);
  expect(clock.pendingTimers).toBe(0);
  await expect(lock.acquire()).rejects.toMatchObject({ code: 'CATALOG_LOCK_CLOSED' });
});

test('a lock that another session holds is told from one that cannot be asked', async () => {
  const remove = server.reply(TAKE, { rows: [{ taken: false }] });
  await expect(open().acquire()).rejects.toMatchObject({ code: 'CATALOG_LOCKED', retryable: true });
  remove();
  server.reply(TAKE, { error: '42501' });
  await expect(open().acquire()).rejects.toMatchObject({ code: 'CATALOG_LOCK_UNAVAILABLE' });
  expect(clock.pendingTimers).toBe(0);
});

test.each([
  [{}, 'database'],
  [{ url: 'postgres://a/b', leaseMs: 5 }, 'leaseMs'],
  [{ url: 'postgres://a/b', prefix: 'a"; drop table x --' }, 'prefix'],
  [{ url: 'postgres://a/b', schema: 'Public' }, 'schema'],
  [{ database: {} }, 'database'],
])('the options %o are refused by the name of their field', (options, field) => {
  // @ts-expect-error -- among them are some that no type permits
  expect(() => createPostgresLock(options)).toThrow(expect.objectContaining({ field }));
});
