import { expect } from '@jest/globals';
import type { PublishedJob, QueueBackend } from '../backend.ts';
import type { OperationKind } from '../control/operation.ts';
import type { DeclareTest } from './guarantees.ts';
import { PARTS, fetchAll, job, publication, takeAll, untilRecovered } from './jobs.ts';

const { TOPIC, LEASE_MS } = PARTS;

function operation(sequence: number, kind: OperationKind, target?: string): PublishedJob {
  const payload = JSON.stringify(target ?? null);
  return { ...job(sequence, `operation-${sequence}`), operation: kind, payload };
}

/** A store applies the operations among the jobs of a publication, each once and in its place. */
export function honoursOperations(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('an operation that is sent again is applied once, and tells what became of it once', async () => {
    const backend = await openUp();
    const pausing = publication({ jobs: [job(1), operation(2, 'pause')] });
    expect((await backend.publish(pausing)).outcomes).toEqual(new Map([[2, 'paused']]));
    const resuming = publication({ jobs: [operation(3, 'resume')] });
    expect((await backend.publish(resuming)).outcomes).toEqual(new Map([[3, 'resumed']]));
    const again = await backend.publish(pausing);
    expect(again).toMatchObject({ alreadyApplied: 2 });
    expect(again.outcomes).toBeUndefined();
    expect(await backend.isPaused?.(TOPIC)).toBe(false);
    expect((await takeAll(backend, 1)).map(({ id }) => id)).toEqual(['job-1']);
  });

  test('an operation concerns the jobs before it, and not those behind it', async () => {
    const backend = await openUp();
    const receipt = await backend.publish(
      publication({
        jobs: [
          job(1),
          operation(2, 'cancel', 'job-1'),
          operation(3, 'cancel', 'job-4'),
          job(4),
          operation(5, 'promote', 'job-4'),
          job(6),
        ],
      }),
    );
    expect(receipt.outcomes).toEqual(
      new Map([
        [2, 'removed'],
        [3, 'not-found'],
        [5, 'waiting'],
      ]),
    );
    expect((await takeAll(backend, 2)).map(({ id }) => id)).toEqual(['job-4', 'job-6']);
  });

  test('behind a job that a full topic refuses, no operation is applied', async () => {
    const backend = await openUp();
    const jobs = [job(1), job(2), operation(3, 'pause'), job(4)];
    const receipt = await backend.publish(publication({ maxJobs: 1, jobs }));
    expect(receipt).toMatchObject({ alreadyApplied: 0, refused: 3 });
    expect(await backend.isPaused?.(TOPIC)).toBe(false);
    const room = await backend.publish(publication({ maxJobs: 2, jobs: jobs.slice(1, 3) }));
    expect(room).toMatchObject({ refused: 0, outcomes: new Map([[3, 'paused']]) });
  });

  test('a paused topic hands over neither released nor orphaned jobs, of any level, and keeps leases', async () => {
    const backend = await openUp();
    const [one, two] = [backend.subscribe(TOPIC, LEASE_MS), backend.subscribe(TOPIC, LEASE_MS)];
    const high = { ...job(2), routing: 'high' };
    await backend.publish(publication({ jobs: [job(1), high, job(3), job(4)] }));
    // The first consumer discovers the level.
    await one.recover([], 1);
    const [first, second] = await fetchAll(one, 2);
    await backend.publish(publication({ jobs: [operation(5, 'pause')] }));
    await one.release?.([{ handle: second?.handle ?? '', deliveries: 0 }]);
    const handle = first?.handle ?? '';
    expect(await one.control?.([handle])).toEqual({ isPaused: true, cancelled: [] });
    for (const consumer of [one, two]) expect(await consumer.fetch(5)).toEqual([]);
    expect(await one.recover([handle], 5)).toMatchObject({ deliveries: [], lost: [] });
    expect(await two.recover([], 5)).toMatchObject({ deliveries: [], lost: [] });
    await one.acknowledge([handle]);
    await backend.publish(publication({ jobs: [operation(6, 'resume')] }));
    await two.recover([], 0);
    const ids = (await fetchAll(two, 3)).map(({ id }) => id);
    expect([first?.id, ...ids].toSorted()).toEqual(['job-1', 'job-2', 'job-3', 'job-4']);
    await Promise.all([one.close(), two.close()]);
  });

  test('the consumer of a cancelled job is told until the job ends, whatever its end is', async () => {
    const backend = await openUp();
    const consumer = backend.subscribe(TOPIC, LEASE_MS);
    const names = [1, 2, 3, 4];
    await backend.publish(publication({ jobs: names.map((name) => job(name)) }));
    const taken = await fetchAll(consumer, names.length);
    const handles = taken.map(({ handle }) => handle);
    const cancelling = names.map((name) => operation(4 + name, 'cancel', `job-${name}`));
    const { outcomes } = await backend.publish(publication({ jobs: cancelling }));
    expect([...(outcomes?.values() ?? [])]).toEqual(names.map(() => 'aborting'));
    const { cancelled = [] } = (await consumer.control?.(handles)) ?? {};
    expect(cancelled.toSorted()).toEqual(handles.toSorted());
    const [acknowledged, delayed, released] = taken;
    if (acknowledged === undefined || delayed === undefined || released === undefined) {
      throw new Error('too few jobs were delivered');
    }
    await consumer.acknowledge([acknowledged.handle]);
    await consumer.retryLater?.(delayed, 1);
    await consumer.release?.([released]);
    // The last one was never settled: its consumer is taken for dead.
    await backend.publish(publication({ jobs: [job(9)] }));
    const other = backend.subscribe(TOPIC, LEASE_MS);
    const [next] = await fetchAll(other, 1);
    expect(next?.id).toBe('job-9');
    const counts = { waiting: 0, delayed: 0, dead: 0 };
    let seen = await backend.count(TOPIC);
    while (seen.pending > 1) {
      const { deliveries } = await other.recover([next?.handle ?? ''], 1);
      expect(deliveries).toEqual([]);
      seen = await backend.count(TOPIC);
    }
    expect(seen).toMatchObject(counts);
    await Promise.all([consumer.close(), other.close()]);
  });

  test('how many consumers in succession have died with a job is counted', async () => {
    const backend = await openUp();
    await backend.publish(publication({ jobs: [job(1)] }));
    const consumers = [1, 2, 3].map(() => backend.subscribe(TOPIC, LEASE_MS));
    const [dying, second, third] = consumers;
    if (dying === undefined || second === undefined || third === undefined) return;
    await fetchAll(dying, 1);
    const [again] = await untilRecovered(second);
    expect(again).toMatchObject({ deliveries: 2, crashes: 1 });
    const [last] = await untilRecovered(third);
    expect(last).toMatchObject({ deliveries: 3, crashes: 2 });
    await Promise.all(consumers.map((one) => one.close()));
  });
}
