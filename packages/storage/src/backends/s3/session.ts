import type { S3Client } from '@aws-sdk/client-s3';
import type * as Sdk from '@aws-sdk/client-s3';
import type { Clock } from '@holdfast/foundation';
import { type BackendResult, fail, ok } from '../../backend.ts';
import { epochMsOfDate } from '../date-header.ts';
import { type RequestTimeout, startRequestTimeout } from '../request-timeout.ts';
import { classifyS3Error } from './errors.ts';

/** The SDK as a value: loaded with the first call, so that nobody else needs to have it. */
export type S3Sdk = typeof Sdk;

export interface S3Call {
  readonly effect: 'read' | 'write';
  readonly signal: AbortSignal;
  /** Bytes of the body that are sent. */
  readonly bytes?: number;
}

type Send<Output> = (
  client: S3Client,
  sdk: S3Sdk,
  options: { abortSignal: AbortSignal },
) => Promise<Output>;

/** Sends commands of the SDK, one attempt each, with a deadline; nothing throws. */
export class S3Session {
  readonly bucket: string;
  readonly #client: S3Client;
  readonly #clock: Clock;
  readonly #requestTimeoutMs: number;
  readonly #minBytesPerSecond: number;
  readonly #dates = new WeakMap<object, number>();
  #sdk: Promise<S3Sdk> | undefined;

  constructor(options: {
    client: S3Client;
    bucket: string;
    clock: Clock;
    requestTimeoutMs: number;
    minBytesPerSecond: number;
  }) {
    this.#client = withOneAttempt(options.client, this.#dates);
    this.bucket = options.bucket;
    this.#clock = options.clock;
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#minBytesPerSecond = options.minBytesPerSecond;
  }

  /** What the server's clock said with an answer, as far as it did. */
  servedAt(output: object): { servedAtEpochMs?: number } {
    const servedAtEpochMs = this.#dates.get(output);
    return servedAtEpochMs === undefined ? {} : { servedAtEpochMs };
  }

  /** Resolves with the whole answer; for answers without a body to stream. */
  async send<Output>(call: S3Call, send: Send<Output>): Promise<BackendResult<Output>> {
    const begun = await this.begin(call, send);
    if (begun.kind !== 'ok') return begun;
    begun.value.timeout.end();
    return ok(begun.value.output);
  }

  /** Resolves when the head of the answer is there; the caller ends its deadline. */
  async begin<Output>(
    call: S3Call,
    send: Send<Output>,
  ): Promise<BackendResult<{ output: Output; timeout: RequestTimeout }>> {
    if (call.signal.aborted) return fail('transient', 'aborted before it was sent');
    this.#sdk ??= import('@aws-sdk/client-s3');
    const sdk = await this.#sdk;
    const sendingMs = ((call.bytes ?? 0) / this.#minBytesPerSecond) * 1_000;
    const timeout = startRequestTimeout(
      this.#clock,
      this.#requestTimeoutMs + sendingMs,
      call.signal,
    );
    try {
      const output = await send(this.#client, sdk, { abortSignal: timeout.signal });
      return ok({ output, timeout });
    } catch (error) {
      timeout.end();
      const cause = error instanceof AttemptFailed ? error.seen : error;
      return classifyS3Error(cause, call.effect, this.#clock.epochMs());
    }
  }
}

/**
 * Inside the SDK's retries: whatever an attempt ended in, it is nothing the SDK would try again. Not as its
 * `cause`, because that is where the SDK looks too.
 */
class AttemptFailed extends Error {
  readonly seen: unknown;

  constructor(seen: unknown) {
    super('an attempt failed');
    this.seen = seen;
  }
}

const nothing = (): void => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

/**
 * The same client for one attempt a call: who keeps what is not sent decides when it is sent again, and
 * retries within retries multiply. The client that was given stays as it is.
 * @param dates learns what the server's clock said with each answer.
 */
function withOneAttempt(client: S3Client, dates: WeakMap<object, number>): S3Client {
  const middlewareStack = client.middlewareStack.clone();
  middlewareStack.addRelativeTo(
    <Args, Output>(next: (args: Args) => Promise<Output>) =>
      async (args: Args): Promise<Output> => {
        try {
          return await next(args);
        } catch (error) {
          throw new AttemptFailed(error);
        }
      },
    { relation: 'after', toMiddleware: 'retryMiddleware', name: 'holdfastSingleAttempt' },
  );
  middlewareStack.add(
    (next, context) => (args) => {
      // Without a logger of the caller's the SDK would write each failed stream to the console.
      if (context.logger?.constructor.name === 'NoOpLogger') context.logger = silent;
      return next(args);
    },
    { step: 'initialize', name: 'holdfastSilence' },
  );
  middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const epochMs = epochMsOfDate(headerOf(result.response, 'date'));
      if (epochMs !== undefined && result.output !== undefined) dates.set(result.output, epochMs);
      return result;
    },
    { step: 'deserialize', priority: 'high', name: 'holdfastDates' },
  );
  const single: unknown = Object.create(client, { middlewareStack: { value: middlewareStack } });
  return isClient(single) ? single : client;
}

function headerOf(response: unknown, name: string): string | undefined {
  if (typeof response !== 'object' || response === null || !('headers' in response))
    return undefined;
  const { headers } = response;
  if (typeof headers !== 'object' || headers === null) return undefined;
  const value: unknown = Reflect.get(headers, name);
  return typeof value === 'string' ? value : undefined;
}

function isClient(value: unknown): value is S3Client {
  return typeof value === 'object' && value !== null && 'send' in value;
}
