import { expect } from '@jest/globals';
import type { QueueBackend, Subscription } from '../backend.ts';
import { encodeOutcome } from '../outcomes/outcome.ts';
import type { KeptOutcome, OutcomeStore } from '../outcomes/outcome-store.ts';
import type { DeclareTest } from './guarantees.ts';
import { PARTS, fetchAll, job, publication } from './jobs.ts';

const { TOPIC, LEASE_MS } = PARTS;
const LONG_MS = 600_000;
const NOTHING = { isExpired: false };

/** A store keeps how a job ended in the step that ends it, and tells those who watch. */
export function honoursOutcomes(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('an outcome is kept in the step that removes the job, and only by the consumer that has it', async () => {
    const backend = await openUp();
    const store = outcomesOf(backend);
    await backend.publish(publication({ jobs: [job(1), job(2)] }));
    const { consumer, handles } = await takeTwo(backend);
    const other = backend.subscribe(TOPIC, LEASE_MS);
    await other.whenConnected(new AbortController().signal);
    await other.acknowledge(handles, outcomesFor(handles, 'stolen'));
    expect(await store.read(TOPIC, ['job-1', 'job-2'])).toEqual([NOTHING, NOTHING]);
    await consumer.acknowledge(handles, outcomesFor(handles, 'mine'));
    await consumer.acknowledge(handles, outcomesFor(handles, 'again'));
    const states = await store.read(TOPIC, ['job-1', 'job-2', 'job-3']);
    const mine = { outcome: returned('mine'), isExpired: false };
    expect(states).toEqual([mine, mine, NOTHING]);
    expect(await backend.count(TOPIC)).toMatchObject({ waiting: 0, pending: 0 });
    await Promise.all([consumer.close(), other.close()]);
  });

  test('an outcome that tells nothing replaces none, and an expired one is known to have been there', async () => {
    const backend = await openUp();
    const store = outcomesOf(backend);
    await backend.publish(publication({ jobs: [job(1), job(2)] }));
    const { consumer, handles } = await takeTwo(backend);
    const [first = '', second = ''] = handles;
    await consumer.acknowledge([first], outcomesFor([first], 'kept'));
    const unknown = { ...keptOf('job-1', '?[]'), isUnknown: true };
    await consumer.acknowledge([second], new Map([[second, unknown]]));
    const kept = { outcome: returned('kept'), isExpired: false };
    expect(await store.read(TOPIC, ['job-1'])).toEqual([kept]);
    await backend.publish(publication({ floor: 2, jobs: [job(3)] }));
    const [third] = await fetchAll(consumer, 1);
    const brief = { ...keptOf('job-3', returned('brief')), ttlMs: 200 };
    await consumer.acknowledge([third?.handle ?? ''], new Map([[third?.handle ?? '', brief]]));
    let [state] = await store.read(TOPIC, ['job-3']);
    while (state?.outcome !== undefined) [state] = await store.read(TOPIC, ['job-3']);
    expect(state).toEqual({ isExpired: true });
    await consumer.close();
  });
}

/** A store keeps the outcomes of dead letters, and tells of what is new. */
export function honoursOutcomeNews(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('the outcome of a dead letter is kept until it is redriven', async () => {
    const backend = await openUp();
    const store = outcomesOf(backend);
    await backend.publish(publication({ jobs: [job(1)] }));
    const consumer = backend.subscribe(TOPIC, LEASE_MS);
    const [taken] = await fetchAll(consumer, 1);
    if (taken === undefined) throw new Error('no job was delivered');
    const outcome = encodeOutcome({ kind: 'failed', reason: 'no luck', attempts: 1 });
    await consumer.deadLetter(taken, 'no luck', undefined, keptOf('job-1', outcome));
    expect(await store.read(TOPIC, ['job-1'])).toEqual([{ outcome, isExpired: false }]);
    expect(await backend.deadLetters(TOPIC, 1)).toMatchObject([{ id: 'job-1' }]);
    expect(await backend.redrive(TOPIC, 1)).toBe(1);
    expect(await store.read(TOPIC, ['job-1'])).toEqual([NOTHING]);
    await consumer.close();
  });

  test('whoever watches a topic is told of new outcomes and progress, until it ends', async () => {
    const backend = await openUp();
    const store = outcomesOf(backend);
    await backend.publish(publication({ jobs: [job(1), job(2)] }));
    const { consumer, handles } = await takeTwo(backend);
    const notified = new Set<string>();
    let onNews = Promise.withResolvers<void>();
    const watch = store.watch(TOPIC, (ids) => {
      if (ids === 'all') return;
      for (const id of ids) notified.add(id);
      onNews.resolve();
    });
    const untilNotified = async (id: string): Promise<void> => {
      while (!notified.has(id)) {
        await onNews.promise;
        onNews = Promise.withResolvers<void>();
      }
    };
    // Reported again and again: the watch may begin after the first.
    while (!notified.has('job-1')) {
      await store.report(TOPIC, 'job-1', '{"part":0.5}', LONG_MS);
      await Promise.race([untilNotified('job-1'), store.read(TOPIC, ['job-1'])]);
    }
    expect(await store.read(TOPIC, ['job-1'])).toEqual([
      { progress: '{"part":0.5}', isExpired: false },
    ]);
    const [, second = ''] = handles;
    await consumer.acknowledge([second], new Map([[second, keptOf('job-2', returned('r'))]]));
    await untilNotified('job-2');
    await watch.close();
    await consumer.close();
  });
}

function outcomesOf({ outcomes }: QueueBackend): OutcomeStore {
  if (outcomes === undefined) throw new Error('the store keeps no outcomes');
  return outcomes;
}

async function takeTwo(
  backend: QueueBackend,
): Promise<{ readonly consumer: Subscription; readonly handles: string[] }> {
  const consumer = backend.subscribe(TOPIC, LEASE_MS);
  const taken = await fetchAll(consumer, 2);
  return { consumer, handles: taken.map(({ handle }) => handle) };
}

function returned(value: string): string {
  return encodeOutcome({ kind: 'returned', json: JSON.stringify(value) });
}

function keptOf(id: string, outcome: string): KeptOutcome {
  return { id, outcome, ttlMs: LONG_MS, isUnknown: false };
}

/** For deliveries of `job-1` and the jobs behind it. */
function outcomesFor(handles: readonly string[], value: string): Map<string, KeptOutcome> {
  return new Map(
    handles.map((handle, index) => [handle, keptOf(`job-${index + 1}`, returned(value))]),
  );
}
