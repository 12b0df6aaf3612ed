import { expect } from '@jest/globals';
import type { Storage } from '@holdfast/storage';
import { guestPolicy } from '../../src/storage/storage-fixture.ts';
import { ObjectLedger, compareBackends } from '../../src/storage/object-ledger.ts';
import { runObjectOutage } from '../../src/storage/outage.ts';
import { scenario } from '../../src/storage/scenario.ts';

const FAMILY = 'supabase-fallback';

const alreadyApplied = (storage: Storage): number | undefined =>
  storage.getStats().backends['supabase']?.alreadyApplied;

/** While it lasts, writes are accepted without the primary and read back. */
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
    promise:
      'writes through a Supabase that is down are accepted, readable, and delivered in order',
    fault: 'connections refused for 1.5 s',
  },
  (ground) =>
    runObjectOutage(ground, {
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
    promise: 'what a frozen Supabase applies late does not outlive what was written since',
    fault: 'no byte passes for 1 s, then all that were held back',
  },
  (ground) =>
    runObjectOutage(ground, {
      inject: ({ supabase }) => supabase.wire.faults.set('silence'),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.wire.heal(),
      notices: 'supabase',
      storage: { lateWriteMs: 6_000, requestTimeoutMs: 700 },
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a slow Supabase delays writes and loses none',
    fault: '150 ms of latency for 1 s',
  },
  (ground) =>
    runObjectOutage(ground, {
      inject: ({ supabase }) => supabase.wire.faults.set('latency', { latencyMs: 150 }),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.wire.heal(),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a Supabase that throttles is left alone for as long as it asks',
    fault: '429 with Retry-After 1 for 1.2 s',
  },
  (ground) =>
    runObjectOutage(ground, {
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
    promise: 'a Supabase that answers 503 is a Supabase that is down',
    fault: 'every answer a 503 for 1 s',
  },
  (ground) =>
    runObjectOutage(ground, {
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
    promise: 'an answer that is malformed is never taken for a success',
    fault: 'every JSON answer cut in half for 1 s',
  },
  (ground) =>
    runObjectOutage(ground, {
      inject: ({ supabase }) => supabase.answers.faults.set('malformedBody'),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.answers.heal(),
      notices: 'supabase',
    }),
);

scenario(
  FAMILY,
  {
    promise: 'an upload cut in its middle is sent again, and never seen half',
    fault: 'connections reset by the server before anything is done, one in three, for 1.5 s',
  },
  (ground) => {
    let uploads = 0;
    return runObjectOutage(ground, {
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
    promise: 'an upload cut in the middle of its bytes is sent again, and never seen half',
    fault: 'every connection to Supabase reset after 3 000 bytes, for 1.5 s',
  },
  (ground) =>
    runObjectOutage(ground, {
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
      'what is deleted during an outage stays deleted after it, on every server and this machine',
    fault: 'Supabase refuses connections, then S3 too, while 40 objects are removed',
  },
  async (ground) => {
    const storage = await ground.storage({ local: { directory: await ground.directory() } });
    const ledger = new ObjectLedger();
    const keys = Array.from({ length: 40 }, (_, at) => `k${at}`);
    for (const key of keys) {
      const accepted = ledger.offered(key, `${key} before`);
      await storage.upload(key, `${key} before`);
      accepted();
    }
    expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
    ground.supabase.wire.faults.set('down');
    for (const [at, key] of keys.entries()) {
      if (at === 20) ground.s3.wire.faults.set('down');
      const accepted = ledger.offered(key, undefined);
      await storage.remove(key);
      accepted();
      expect(await storage.exists(key)).toBe(false);
    }
    await Promise.all([ground.supabase.wire.heal(), ground.s3.wire.heal()]);
    expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
    for (const key of keys) expect(await storage.exists(key)).toBe(false);
    return { verdict: await compareBackends(ledger, [ground.supabase.direct, ground.s3.direct]) };
  },
);

scenario(
  FAMILY,
  {
    promise: 'a write whose answer was lost after it was applied is recognised, and not sent again',
    fault: 'connections reset after the write was applied, one in three, for 1.5 s',
  },
  async (ground) => {
    let uploads = 0;
    return runObjectOutage(ground, {
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
      // Until one of them is seen to be there already; nobody overtakes these.
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
      'with Supabase and S3 both down writes are kept on this machine, and delivered to both',
    fault: 'both refuse connections for 1.5 s',
  },
  (ground) =>
    runObjectOutage(ground, {
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
    promise: 'a database that is read-only, sent as 400 with 503 inside, is waited for',
    fault: 'DatabaseReadOnly for 1 s',
  },
  (ground) =>
    runObjectOutage(ground, {
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
    promise: 'a database that does not answer is waited for',
    fault: '544 DatabaseTimeout for 1 s',
  },
  (ground) =>
    runObjectOutage(ground, {
      inject: ({ supabase }) => supabase.server.setFaults({ database: 'frozen' }),
      lastsMs: 1_000,
      recover: ({ supabase }) => supabase.server.setFaults({}),
      notices: 'supabase',
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a Supabase that takes the permission away gets its writes when it gives it back',
    fault: 'insert, update and delete revoked for 1 s',
  },
  (ground) =>
    runObjectOutage(ground, {
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
    promise: 'a bucket policy that denies parks the writes of S3 alone, until it allows again',
    fault: 'AccessDenied by bucket policy for 1 s',
  },
  (ground) =>
    runObjectOutage(ground, {
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
