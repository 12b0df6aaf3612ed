import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { createMemoryBackend, createQueueOn } from '@holdfast/queue';
import { queueTracing } from '@holdfast/queue/opentelemetry';
import { decodeJob, encodeJobs } from '../src/fallback/record.ts';
import { traceOf, withTrace } from '../src/tracing/trace-attributes.ts';
import { openTestQueue } from './open-queue.ts';

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracer = provider.getTracer('test');
const closers: (() => Promise<unknown>)[] = [];

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(() => context.disable());
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  exporter.reset();
});

/** The first finished span of this name. */
async function spanNamed(name: string): Promise<ReadableSpan> {
  let found: ReadableSpan | undefined;
  while (found === undefined) {
    await new Promise(setImmediate);
    found = exporter.getFinishedSpans().find((span) => span.name === name);
  }
  return found;
}

test("a handler's span is a child of the producer's, and what it does is within its span", async () => {
  const queue = createQueueOn(createMemoryBackend(), { tracing: queueTracing({ tracer }) });
  closers.push(() => queue.close());
  queue.process('mail', async ({ trace: carrier }) => {
    await Promise.resolve();
    tracer.startSpan('inner').end();
    return carrier;
  });
  const outer = tracer.startSpan('outer');
  await context.with(trace.setSpan(context.active(), outer), () => queue.enqueue('mail', 1));
  outer.end();
  const [inner, handled] = [await spanNamed('inner'), await spanNamed('process mail')];
  const sent = await spanNamed('send mail');
  expect(sent.kind).toBe(SpanKind.PRODUCER);
  expect(sent.parentSpanContext?.spanId).toBe(outer.spanContext().spanId);
  expect(sent.attributes).toMatchObject({ 'holdfast.queue.accepted': 'memory' });
  expect(handled.kind).toBe(SpanKind.CONSUMER);
  expect(handled.parentSpanContext).toMatchObject({
    spanId: sent.spanContext().spanId,
    isRemote: true,
  });
  expect(handled.spanContext().traceId).toBe(outer.spanContext().traceId);
  expect(inner.parentSpanContext?.spanId).toBe(handled.spanContext().spanId);
});

test('with links, a handler has a trace of its own, and a failed attempt is marked as such', async () => {
  const tracing = queueTracing({ tracer, relation: 'link' });
  const queue = createQueueOn(createMemoryBackend(), { tracing });
  closers.push(() => queue.close());
  const fail = (): never => {
    throw new Error('no luck');
  };
  queue.process('mail', fail, { maxAttempts: 1 });
  await queue.enqueueMany('mail', [{ payload: 1 }]);
  const [sent, handled] = [await spanNamed('send mail'), await spanNamed('process mail')];
  expect(handled.parentSpanContext).toBeUndefined();
  expect(handled.links.map((link) => link.context.spanId)).toEqual([sent.spanContext().spanId]);
  expect(handled.status.code).toBe(SpanStatusCode.ERROR);
  expect(handled.attributes).toMatchObject({ 'holdfast.queue.attempt': 1 });
});

test('jobs that went through the fallback keep their context, and the drain is linked to them', async () => {
  const { queue, backend } = openTestQueue({
    clock: systemClock,
    tracing: queueTracing({ tracer }),
  });
  closers.push(() => queue.close());
  backend.up();
  await queue.ready();
  backend.down();
  const drained = nextEvent(queue, 'drained');
  expect(await queue.enqueue('mail', 1)).toMatchObject({ accepted: 'memory' });
  backend.up();
  await drained;
  const [sent, drain] = [await spanNamed('send mail'), await spanNamed('drain mail')];
  expect(drain.links.map((link) => link.context.spanId)).toEqual([sent.spanContext().spanId]);
  expect(drain.attributes).toMatchObject({ 'messaging.batch.message_count': 1 });
});

test('a context is stored with the options of its job, survives the journal, and a malformed one is left out', () => {
  const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
  const tracestate = 'one=a b;c:d,two=é';
  const attributes = withTrace('attempts:3', { traceparent, tracestate });
  expect(attributes).not.toMatch(/\s/u);
  const job = { topic: 't', id: 'i', unique: false, originEpoch: 1, sequence: 1, payload: '1' };
  const [record] = encodeJobs([{ ...job, enqueuedAtMs: 1, dueAtMs: 0, attributes }]);
  const read = decodeJob(record ?? new Uint8Array());
  expect(traceOf(read.attributes)).toEqual({ traceparent, tracestate });
  expect(withTrace('attempts:3', { traceparent: 'bad;id' })).toBe('attempts:3');
  expect(withTrace(undefined, { traceparent, tracestate: 'x'.repeat(513) })).toBe(
    `trace:${traceparent}`,
  );
  expect(traceOf('attempts:3')).toBeUndefined();
});
