import {
  type Attributes,
  type Context,
  type Span,
  SpanKind,
  SpanStatusCode,
  type SpanContext,
  type Tracer,
  context,
  createTraceState,
  trace,
} from '@opentelemetry/api';
import { describeThrown, objectWith, oneOf, parseOptions } from '@holdfast/foundation';
import type { QueueTracing, TraceCarrier, TracedAnswer, TracedJob } from './tracing.ts';

/** Options of `queueTracing`. */
export interface QueueTracingOptions {
  /** The tracer of OpenTelemetry on which the spans are started. */
  tracer: Tracer;
  /**
   * What the span of a handler is to the span of the `enqueue`: its `child`, in the same trace; or the root of a trace of
   * its own with a `link`, for jobs that wait for long. Default `'child'`.
   */
  relation?: 'child' | 'link';
}

const OWNER = 'queueTracing';
const SYSTEM = 'holdfast_queue';
const HEX = 16;

const shape = {
  tracer: objectWith<Tracer>(['startSpan']),
  relation: oneOf(['child', 'link'], 'child'),
};

/**
 * Spans for `enqueue`, for the drain of the fallback and for each attempt of a handler, which runs in the context of its
 * span: `createQueueAdapter({ redis, tracing: queueTracing({ tracer }) })`. The context travels with the job as W3C
 * `traceparent` and `tracestate`, through the journal and through Redis.
 * @throws InvalidOptionError
 */
export function queueTracing(options: QueueTracingOptions): QueueTracing {
  const { tracer, relation } = parseOptions(OWNER, shape, options);
  return {
    enqueue(topic, jobs, run) {
      const attributes = { ...namesOf(topic, 'send'), 'messaging.batch.message_count': jobs };
      const span = tracer.startSpan(`send ${topic}`, { kind: SpanKind.PRODUCER, attributes });
      const within = trace.setSpan(context.active(), span);
      return inSpan(span, within, async () => {
        const accepted = await run(carrierOf(span.spanContext()));
        span.setAttributes(acceptedAttributes(accepted));
        return accepted;
      });
    },
    drain(topic, jobs, carriers, run) {
      const attributes = { ...namesOf(topic, 'drain'), 'messaging.batch.message_count': jobs };
      const links = carriers.flatMap((carrier) => linkTo(carrier));
      const given = { kind: SpanKind.CLIENT, attributes, links, root: true };
      const span = tracer.startSpan(`drain ${topic}`, given);
      return inSpan(span, trace.setSpan(context.active(), span), run);
    },
    handle(job, run) {
      const span = startHandling(tracer, relation, job);
      return inSpan(span, trace.setSpan(context.active(), span), run);
    },
  };
}

function startHandling(
  tracer: Tracer,
  relation: 'child' | 'link',
  { topic, id, attempt, trace: carrier }: TracedJob,
): Span {
  const attributes = {
    ...namesOf(topic, 'process'),
    'messaging.message.id': id,
    'holdfast.queue.attempt': attempt,
  };
  const given = { kind: SpanKind.CONSUMER, attributes, root: true };
  const name = `process ${topic}`;
  const parent = carrier && spanContextOf(carrier);
  if (parent === undefined) return tracer.startSpan(name, given);
  if (relation === 'link') {
    return tracer.startSpan(name, { ...given, links: [{ context: parent }] });
  }
  const within = trace.setSpanContext(context.active(), parent);
  return tracer.startSpan(name, { ...given, root: false }, within);
}

/** Runs in the span's context, and ends the span as the run ends. */
async function inSpan<T>(span: Span, within: Context, run: () => Promise<T>): Promise<T> {
  try {
    return await context.with(within, run);
  } catch (error) {
    span.recordException(error instanceof Error ? error : describeThrown(error));
    span.setStatus({ code: SpanStatusCode.ERROR, message: describeThrown(error) });
    throw error;
  } finally {
    span.end();
  }
}

function namesOf(topic: string, operation: string): Attributes {
  return {
    'messaging.system': SYSTEM,
    'messaging.destination.name': topic,
    'messaging.operation.name': operation,
  };
}

function acceptedAttributes(accepted: TracedAnswer | readonly TracedAnswer[]): Attributes {
  if (!('accepted' in accepted)) return {};
  return { 'messaging.message.id': accepted.id, 'holdfast.queue.accepted': accepted.accepted };
}

function linkTo(carrier: TraceCarrier): { readonly context: SpanContext }[] {
  const linked = spanContextOf(carrier);
  return linked === undefined ? [] : [{ context: linked }];
}

/** As W3C has it; a span that is not recorded has a context as well. */
function carrierOf({ traceId, spanId, traceFlags, traceState }: SpanContext): TraceCarrier {
  const flags = traceFlags.toString(HEX).padStart(2, '0');
  const tracestate = traceState?.serialize() ?? '';
  return {
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    ...(tracestate !== '' && { tracestate }),
  };
}

function spanContextOf({ traceparent, tracestate }: TraceCarrier): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = '0'] = traceparent.split('-');
  const found = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, HEX),
    isRemote: true,
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
  };
  return trace.isSpanContextValid(found) ? found : undefined;
}
