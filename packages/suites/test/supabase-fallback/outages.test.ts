import { expect } from '@jest/globals';
import type { Storage } from '@holdfast/storage';
import { guestPolicy } from '../../src/storage/storage-fixture.ts';
import { ObjectLedger, compareBackends } from '../../src/storage/object-ledger.ts';
import { runObjectOutage } from '../../src/storage/outage.ts';
import { scenario } from '../../src/storage/scenario.ts';

const FAMILY = 'supabase-fallback';
const REQUEST_TIMEOUT_MS = 700;

const alreadyApplied = (storage: Storage): number | undefined =>
  storage.getStats().backends['supabase']?.alreadyApplied;

/** During the outage, writes are accepted without the primary and can be read back. */
async function showing(storage: Storage, state: 'down' | 'denied'): Promise<void> {
  expect(storage.health().backends['supabase']?.state).toBe(state);
  const stored = await storage.upload('during', 'it');
  expect(stored.fallback).toBe(true);
  const download = await storage.download('during');
  expect(Buffer.from(await download.bytes()).toString()).toBe('it');
}

scenario(
  FAMILY,
  {
    promise: 'writes during an outage of Supabase are accepted, readable, and delivered in order',
    fault: 'connections refused for 1.5 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) => supabase.wire.faults.set('down'),
      lastsMs: 1_500,
      recover: ({ supabase }) => supabase.wire.heal(),
      notices: 'supabase',
      during: (storage) => showing(storage, 'down'),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a write that a frozen Supabase applies late does not replace a later write',
    fault: 'no byte passes for 1 s, then all held bytes pass',
    detectionMs: REQUEST_TIMEOUT_MS,
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) => supabase.wire.faults.set('blackhole'),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.wire.heal(),
      notices: 'supabase',
      storage: { lateWriteMs: 6_000, requestTimeoutMs: REQUEST_TIMEOUT_MS },
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a slow Supabase delays writes and loses none',
    fault: '150 ms of latency for 1 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) => supabase.wire.faults.set('latency', { latencyMs: 150 }),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.wire.heal(),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a Supabase that throttles receives no requests until its Retry-After has passed',
    fault: '429 with Retry-After 1 for 1.2 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) => supabase.answers.faults.set('rateLimit', { retryAfterSeconds: 1 }),
      lastsMs: 1_200,
      recover: ({ supabase }) => supabase.answers.heal(),
      notices: 'supabase',
      storage: { circuitBreaker: { openDurationMs: 100, maxOpenDurationMs: 2_000 } },
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a Supabase that answers 503 is treated as unavailable',
    fault: 'every answer a 503 for 1 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) => supabase.answers.faults.set('status', { status: 503 }),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.answers.heal(),
      notices: 'supabase',
      during: (storage) => showing(storage, 'down'),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a malformed answer is never treated as a success',
    fault: 'every JSON answer cut in half for 1 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) => supabase.answers.faults.set('malformedBody'),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.answers.heal(),
      notices: 'supabase',
    }),
);

scenario(
  FAMILY,
  {
    promise: 'an upload reset before it is applied is sent again, and never visible in part',
    fault: 'connections reset by the server before anything is done, one in three, for 1.5 s',
  },
  (fixture) => {
    let uploads = 0;
    return runObjectOutage(fixture, {
      inject: ({ supabase }) => {
        supabase.fault = ({ operation }) => {
          if (!/upload/i.test(operation)) return undefined;
          uploads += 1;
          return uploads % 3 === 0 ? { kind: 'reset' } : undefined;
        };
      },
      lastsMs: 1_500,
      recover: ({ supabase }) => {
        supabase.fault = () => undefined;
      },
    });
  },
);

scenario(
  FAMILY,
  {
    promise:
      'an upload cut off in the middle of its bytes is sent again, and never visible in part',
    fault: 'every connection to Supabase reset after 3 000 bytes, for 1.5 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) =>
        supabase.wire.faults.set('limitData', { maxBytes: 3_000, ending: 'reset' }),
      lastsMs: 1_500,
      recover: ({ supabase }) => supabase.wire.heal(),
    }),
);

scenario(
  FAMILY,
  {
    promise:
      'an object deleted during an outage stays deleted after it, on every server and on this machine',
    fault: 'Supabase refuses connections, then S3 too, while 40 objects are removed',
  },
  async (fixture) => {
    const storage = await fixture.storage({ local: { directory: await fixture.directory() } });
    const ledger = new ObjectLedger();
    const keys = Array.from({ length: 40 }, (_, at) => `k${at}`);
    for (const key of keys) {
      const accepted = ledger.offered(key, `${key} before`);
      await storage.upload(key, `${key} before`);
      accepted();
    }
    expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
    fixture.supabase.wire.faults.set('down');
    for (const [at, key] of keys.entries()) {
      if (at === 20) fixture.s3.wire.faults.set('down');
      const accepted = ledger.offered(key, undefined);
      await storage.remove(key);
      accepted();
      expect(await storage.exists(key)).toBe(false);
    }
    await Promise.all([fixture.supabase.wire.heal(), fixture.s3.wire.heal()]);
    expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
    for (const key of keys) expect(await storage.exists(key)).toBe(false);
    return { verdict: await compareBackends(ledger, [fixture.supabase.direct, fixture.s3.direct]) };
  },
);

scenario(
  FAMILY,
  {
    promise:
      'a write that was applied before its answer was lost is recognized, and not sent again',
    fault: 'connections reset after the write was applied, one in three, for 1.5 s',
  },
  async (fixture) => {
    let uploads = 0;
    return runObjectOutage(fixture, {
      inject: ({ supabase }) => {
        supabase.fault = ({ operation }) => {
          if (!/upload/i.test(operation)) return undefined;
          uploads += 1;
          return uploads % 3 === 0 ? { kind: 'reset', when: 'after' } : undefined;
        };
      },
      lastsMs: 1_500,
      recover: ({ supabase }) => {
        supabase.fault = () => undefined;
      },
      // Repeats until a retry finds a write already applied; later writes do not overtake these.
      during: async (storage) => {
        for (let write = 0; alreadyApplied(storage) === 0; write += 1) {
          await storage.upload(`once ${write}`, 'it', { acknowledgeWithinMs: 30_000 });
        }
      },
    });
  },
);

scenario(
  FAMILY,
  {
    promise:
      'with Supabase and S3 both down, writes are kept on this machine and delivered to both later',
    fault: 'both refuse connections for 1.5 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase, s3 }) => {
        supabase.wire.faults.set('down');
        s3.wire.faults.set('down');
      },
      lastsMs: 1_500,
      recover: async ({ supabase, s3 }) => {
        await Promise.all([supabase.wire.heal(), s3.wire.heal()]);
      },
      notices: 'supabase',
      during: async (storage) => {
        expect(await storage.upload('during', 'it')).toMatchObject({ stored: 'local' });
        expect((await storage.download('during')).from).toBe('pending');
        expect(storage.health().level).toBe('critical');
      },
    }),
);

scenario(
  FAMILY,
  {
    promise: 'writes wait for a read-only database, reported as status 400 with 503 in the body',
    fault: 'DatabaseReadOnly for 1 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) => supabase.server.setFaults({ readOnly: true }),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.server.setFaults({}),
      notices: 'supabase',
      during: (storage) => showing(storage, 'down'),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'writes wait for a database that does not answer',
    fault: '544 DatabaseTimeout for 1 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) => supabase.server.setFaults({ database: 'frozen' }),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.server.setFaults({}),
      notices: 'supabase',
    }),
);

scenario(
  FAMILY,
  {
    promise: 'writes denied by revoked permissions are delivered once the permissions are restored',
    fault: 'insert, update and delete revoked for 1 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ supabase }) =>
        supabase.server.setFaults({
          policies: [{ effect: 'deny', actions: ['insert', 'update', 'delete'] }],
        }),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.server.setFaults({}),
      notices: 'supabase',
      during: (storage) => showing(storage, 'denied'),
    }),
);

scenario(
  FAMILY,
  {
    promise:
      'a bucket policy that denies writes holds back only the writes to S3, until it allows them again',
    fault: 'AccessDenied by bucket policy for 1 s',
  },
  (fixture) =>
    runObjectOutage(fixture, {
      inject: ({ s3 }) => s3.setPolicy(guestPolicy('Deny')),
      lastsMs: 1_000,
      recover: ({ s3 }) => s3.setPolicy(guestPolicy('Allow')),
      notices: 's3',
      during: async (storage) => {
        expect(storage.health().backends).toMatchObject({
          supabase: { state: 'up' },
          s3: { state: 'denied' },
        });
        const options = { acknowledgeWithinMs: 30_000 };
        const stored = await storage.upload('during', 'it', options);
        expect(stored.stored).toBe('primary');
      },
    }),
);
