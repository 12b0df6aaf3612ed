/** The W3C trace context of whoever enqueued a job. */
export interface TraceCarrier {
  /** `00-<trace id>-<span id>-<flags>`, in hexadecimal digits. */
  readonly traceparent: string;
  /** Of the vendors that take part; at most 512 characters. */
  readonly tracestate?: string;
}

/** The job whose handler runs, as far as a trace tells of it. */
export interface TracedJob {
  readonly topic: string;
  readonly id: string;
  readonly attempt: number;
  readonly trace?: TraceCarrier;
}

/** The answer to an `enqueue`, as far as a trace tells of it. */
export interface TracedAnswer {
  readonly id: string;
  /** The store that has the job. */
  readonly accepted: string;
}

/**
 * The port to a tracer, such as `queueTracing` of `@holdfast/queue/opentelemetry`. Each method calls `run` once, in the
 * same turn, and settles as it does.
 */
export interface QueueTracing {
  /** Around an `enqueue` or `enqueueMany`; `run` takes the context that travels with its jobs. */
  enqueue<T extends TracedAnswer | readonly TracedAnswer[]>(
    topic: string,
    jobs: number,
    run: (carrier: TraceCarrier | undefined) => Promise<T>,
  ): Promise<T>;
  /** Around the sending of jobs from the fallback, with the contexts that some of them have. */
  drain<T>(
    topic: string,
    jobs: number,
    carriers: readonly TraceCarrier[],
    run: () => Promise<T>,
  ): Promise<T>;
  /** Around one attempt of a handler. */
  handle<T>(job: TracedJob, run: () => Promise<T>): Promise<T>;
}
