import type { QueueTracing, TraceCarrier } from './tracing.ts';

/** The names of the attributes of a job that hold its trace context; see `producer/job-options.ts`. */
const PARENT = 'trace:';
const STATE = 'state:';
const MAX_STATE = 512;
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/u;
/** The most contexts that a drain tells of. */
const MAX_DRAINED = 32;

/** The attributes of a job with its trace context; a malformed context is left out. */
export function withTrace(
  attributes: string | undefined,
  carrier: TraceCarrier | undefined,
): string | undefined {
  if (carrier === undefined || !TRACEPARENT.test(carrier.traceparent)) return attributes;
  const { traceparent, tracestate = '' } = carrier;
  const parts = attributes === undefined ? [] : [attributes];
  parts.push(`${PARENT}${traceparent}`);
  // Without spaces and semicolons, which separate attributes.
  if (tracestate !== '' && tracestate.length <= MAX_STATE && tracestate.isWellFormed()) {
    parts.push(`${STATE}${encodeURIComponent(tracestate)}`);
  }
  return parts.join(';');
}

/** The trace context of a job, if it has one. */
export function traceOf(attributes: string | undefined): TraceCarrier | undefined {
  if (attributes === undefined) return undefined;
  let traceparent: string | undefined;
  let tracestate: string | undefined;
  for (const part of attributes.split(';')) {
    if (part.startsWith(PARENT)) traceparent = part.slice(PARENT.length);
    else if (part.startsWith(STATE)) tracestate = decodeURIComponent(part.slice(STATE.length));
  }
  if (traceparent === undefined) return undefined;
  return { traceparent, ...(tracestate !== undefined && { tracestate }) };
}

/** Sends jobs of the fallback, in a span if there is a tracer. */
export function tracedDrain<T>(
  tracing: QueueTracing | undefined,
  {
    topic,
    jobs,
  }: { readonly topic: string; readonly jobs: readonly { attributes?: string | undefined }[] },
  run: () => Promise<T>,
): Promise<T> {
  if (tracing === undefined) return run();
  const carriers: TraceCarrier[] = [];
  for (const { attributes } of jobs) {
    const carrier = traceOf(attributes);
    if (carrier !== undefined) carriers.push(carrier);
    if (carriers.length === MAX_DRAINED) break;
  }
  return tracing.drain(topic, jobs.length, carriers, run);
}
