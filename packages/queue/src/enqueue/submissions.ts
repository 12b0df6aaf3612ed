import type { QueueBackend } from '../backend.ts';
import { OperationUnsupportedError } from '../errors.ts';
import type { ResolvedEnqueueOptions, ResolvedQueueTuning } from '../options.ts';
import type { Submission } from '../state/pending-job.ts';
import type { RemainingDelays } from '../state/remaining-delays.ts';
import { withTrace } from '../tracing/trace-attributes.ts';
import type { TraceCarrier } from '../tracing/tracing.ts';
import { waitOf, windowsOf } from '../windows/window-options.ts';
import { attributesOf } from '../producer/job-options.ts';
import { checkJobId, checkTopic, serializePayload } from '../producer/payload.ts';
import { routingOf } from '../producer/scheduling.ts';

interface SubmissionDeps {
  readonly backend: QueueBackend;
  readonly tuning: ResolvedQueueTuning;
  readonly delays: RemainingDelays;
  readonly newId: () => string;
}

/** Makes a job of the arguments of `enqueue`; `index` is its place in an `enqueueMany`. @throws the errors of `enqueue` */
export type MakeSubmission = (
  topic: string,
  payload: unknown,
  options: ResolvedEnqueueOptions,
  more?: { readonly index?: number; readonly carrier?: TraceCarrier | undefined },
) => Submission;

/** What makes the jobs of one queue. */
export function createSubmissions(deps: SubmissionDeps): MakeSubmission {
  const { backend, tuning, delays, newId } = deps;
  const { maxPayloadBytes, topics } = tuning;
  return (topic, payload, { jobId, delayMs, ...more }, { index, carrier } = {}) => {
    if (more.debounce !== undefined && backend.debounces !== true) {
      throw new OperationUnsupportedError('enqueue with debounce');
    }
    const routing = routingOf(topic, more, topics.get(topic)?.partitions);
    const attributes = withTrace(attributesOf(more), carrier);
    return {
      topic: checkTopic('enqueue', topic),
      payload: serializePayload(topic, payload, maxPayloadBytes, index),
      id: jobId === undefined ? newId() : checkJobId('enqueue', jobId),
      unique: jobId !== undefined,
      ...delays.timesOf(waitOf(more.debounce, delayMs)),
      ...(routing !== undefined && { routing }),
      ...(attributes !== undefined && { attributes }),
      ...windowsOf(more, { jobId, delayMs }),
    };
  };
}
