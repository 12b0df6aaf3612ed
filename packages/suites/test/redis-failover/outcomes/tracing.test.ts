import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { queueTracing } from '@holdfast/queue/opentelemetry';
import { TOPIC } from '../../../src/outage.ts';
import { AOF_NO_FSYNC, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const JOBS = 20;

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(() => context.disable());

test('a trace goes on through an outage of Redis: each handler is a child of its enqueue, and the drain of the journal is linked to them', async () => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracing = queueTracing({ tracer: provider.getTracer('suite') });
  const named = (name: string): ReadableSpan[] =>
    exporter.getFinishedSpans().filter((span) => span.name === `${name} ${TOPIC}`);
  const fixture = await openRedisFixture(AOF_NO_FSYNC);
  try {
    const producer = fixture.queue({ directory: await fixture.directory(), tracing });
    const worker = fixture.queue({ fallback: 'memory', tracing });
    await Promise.all([producer.ready(), worker.ready()]);
    worker.process(TOPIC, () => undefined);
    const enqueueAll = async (from: number): Promise<void> => {
      for (let job = from; job < from + JOBS; job += 1) {
        await producer.enqueue(TOPIC, job, { jobId: String(job), maxAttempts: 3 });
      }
    };
    await enqueueAll(0);
    await fixture.redis.kill();
    await enqueueAll(JOBS);
    await fixture.redis.start();
    await waitUntil(() => named('process').length === 2 * JOBS);
    await waitUntil(() => named('drain').length > 0);
    const sent = named('send');
    expect(sent).toHaveLength(2 * JOBS);
    const spanOf = new Map(
      sent.map((span) => [span.attributes['messaging.message.id'], span.spanContext()]),
    );
    for (const { attributes, parentSpanContext } of named('process')) {
      const parent = spanOf.get(attributes['messaging.message.id']);
      expect(parentSpanContext).toMatchObject({
        traceId: parent?.traceId,
        spanId: parent?.spanId,
      });
    }
    const linked = named('drain').flatMap(({ links }) => links.map((link) => link.context.spanId));
    const journalled = sent.filter(
      (span) => span.attributes['holdfast.queue.accepted'] === 'journal',
    );
    expect(journalled.length).toBeGreaterThanOrEqual(JOBS - 1);
    expect(new Set(linked)).toEqual(new Set(journalled.map((span) => span.spanContext().spanId)));
  } finally {
    await fixture.close();
  }
});
