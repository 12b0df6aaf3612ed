import { join } from 'node:path';
import { expect } from '@jest/globals';
import { isHoldfastError, nextEvent, systemClock } from '@holdfast/foundation';
import { AOF_NO_FSYNC } from '../../../src/redis-fixture.ts';
import { Ledger } from '../../../src/ledger.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';
import { openSmallDisk } from './small-disk.ts';

const FAMILY = 'redis-failover';
const DISK_BYTES = 24 * 2 ** 20;
/** The disk holds a few hundred such jobs. */
const PAYLOAD = 'x'.repeat(50_000);
const MAX_OFFERED = 2_000;

scenario(
  FAMILY,
  {
    promise: 'a full disk rejects jobs with a typed error, and every accepted job is delivered',
    fault: 'kill -9, then the disk under the journal full (24 MiB tmpfs), start',
    settings: AOF_NO_FSYNC,
  },
  async (fixture) => {
    const disk = await openSmallDisk(join(await fixture.directory(), 'disk'), DISK_BYTES);
    // Without the right to mount, the size limit of the journal stands in for the disk, with the same error.
    const isMounted = 'directory' in disk;
    const directory = isMounted ? disk.directory : await fixture.directory();
    const ledger = new Ledger();
    const queue = fixture.queue({
      directory,
      ...(!isMounted && { maxBacklogBytes: DISK_BYTES }),
    });
    try {
      await queue.ready();
      const detected = nextEvent(queue, 'state');
      const faultAtMs = systemClock.now();
      await fixture.redis.kill();
      const { atMs } = await detected;
      const refused: unknown[] = [];
      for (let job = 1; job <= MAX_OFFERED && refused.length < 5; job += 1) {
        await queue.enqueue(TOPIC, { job, PAYLOAD }).then(
          ({ accepted }) => ledger.accepted(job, accepted),
          (error: unknown) => refused.push(error),
        );
      }
      expect(refused).toHaveLength(5);
      for (const error of refused) {
        if (!isHoldfastError(error)) throw error;
        const full = { code: 'QUEUE_FULL', limit: 'fallback', outcome: 'not-applied' };
        expect(error).toMatchObject({ ...full, cause: { code: 'JOURNAL_FULL' } });
      }
      expect(ledger.acceptedJobs().length).toBeGreaterThan(100);
      const direct = untilDirect(queue);
      await fixture.redis.start();
      const recoveredAtMs = systemClock.now();
      queue.process(TOPIC, ({ payload }) => ledger.delivered(Number(Object(payload).job)), {
        concurrency: 1,
      });
      await direct;
      await queue.enqueue(TOPIC, { job: MAX_OFFERED + 1 });
      ledger.accepted(MAX_OFFERED + 1, 'redis');
      await ledger.settled(60_000);
      await fixture.untilHandled(TOPIC);
      return {
        verdict: ledger.verdict(),
        detectedAfterMs: atMs - faultAtMs,
        lastedMs: recoveredAtMs - faultAtMs,
        note: isMounted ? `${refused.length} jobs refused` : disk.whyNot,
      };
    } finally {
      await queue.close({ deadlineMs: 1_000 });
      if (isMounted) await disk.close();
    }
  },
);
