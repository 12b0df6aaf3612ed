import type { S3Client } from '@aws-sdk/client-s3';
import type * as Sdk from '@aws-sdk/client-s3';
import type { Clock } from '@holdfast/foundation';
import { type BackendResult, fail, ok } from '../../backend.ts';
import { epochMsOfDate } from '../date-header.ts';
import { type RequestTimeout, startRequestTimeout } from '../request-timeout.ts';
import { LeftProbes } from './left-probes.ts';
import { classifyS3Error } from './errors.ts';

/** The SDK; loaded by the first call, so that it is needed only where S3 is used. */
type S3Sdk = typeof Sdk;

interface S3SendOptions {
  readonly effect: 'read' | 'write';
  readonly signal: AbortSignal;
  /** Length of the body that is sent. */
  readonly bytes?: number;
  /** `false`: the SDK adds no checksum either. Default as the client is configured. */
  readonly checksums?: boolean;
}

type Send<Output> = (
  client: S3Client,
  sdk: S3Sdk,
  options: { abortSignal: AbortSignal },
) => Promise<Output>;

/** Sends commands of the SDK, one attempt each, with a time limit. Never rejects. */
export class S3Session {
  readonly bucket: string;
  readonly leftProbes: LeftProbes;
  readonly #client: S3Client;
  readonly #clientWithoutChecksums: S3Client;
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
    this.#clientWithoutChecksums = withoutChecksums(this.#client);
    this.bucket = options.bucket;
    this.leftProbes = new LeftProbes(options.clock);
    this.#clock = options.clock;
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#minBytesPerSecond = options.minBytesPerSecond;
  }

  /** The server's clock at the time of a response, if the response stated it. */
  servedAt(output: object): { servedAtEpochMs?: number } {
    const servedAtEpochMs = this.#dates.get(output);
    return servedAtEpochMs === undefined ? {} : { servedAtEpochMs };
  }

  /** Resolves with the complete response; for responses without a streamed body. */
  async send<Output>(call: S3SendOptions, send: Send<Output>): Promise<BackendResult<Output>> {
    const begun = await this.begin(call, send);
    if (begun.kind !== 'ok') return begun;
    begun.value.timeout.end();
    return ok(begun.value.output);
  }

  /** Resolves when the head of the response has arrived; the caller ends the timeout. */
  async begin<Output>(
    call: S3SendOptions,
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
      const client = call.checksums === false ? this.#clientWithoutChecksums : this.#client;
      const output = await send(client, sdk, { abortSignal: timeout.signal });
      return ok({ output, timeout });
    } catch (error) {
      timeout.end();
      const cause = error instanceof AttemptFailed ? error.seen : error;
      return classifyS3Error(cause, call.effect, this.#clock.epochMs());
    }
  }
}

/**
 * Wraps the error of an attempt, so that the SDK does not retry it. The error is not the `cause`, because the
 * SDK inspects that too.
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
 * The same client with one attempt per call: this package retries, and retries within retries multiply. The
 * given client is not changed.
 * @param dates receives the server's clock of each response.
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
      // Without a logger of its own the SDK would write each failed stream to the console.
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

/** The same client, which computes a checksum only where S3 requires one. */
function withoutChecksums(client: S3Client): S3Client {
  const config = { ...client.config, requestChecksumCalculation: async () => 'WHEN_REQUIRED' };
  const without: unknown = Object.create(client, { config: { value: config } });
  return isClient(without) ? without : client;
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
