import {
  hideCredentials,
  isHoldfastError,
  parseRetryAfter,
  propertyOf,
  withDeadline,
} from '@holdfast/foundation';
import {
  type CircuitBreaker,
  CircuitOpenError,
  RetryExhaustedError,
  createCircuitBreaker,
  createRetry,
} from '@holdfast/resilience';
import {
  ModelAnswerCutError,
  ModelApiError,
  ModelBudgetError,
  ModelTimeoutError,
} from '../errors.ts';
import {
  type ClaudeOptions,
  type ResolvedClaudeOptions,
  parseClaudeOptions,
} from './claude-options.ts';
import { AnswerBuilder, EventLines } from './claude-stream.ts';
import type { EditModel, ModelAnswer, ModelCallOptions, ModelRequest } from './edit-model.ts';

/** Claude, with what it has cost. */
export interface ClaudeModel extends EditModel {
  /** Requests that were sent, and the tokens of all of them; those of cut answers as far as they were told. */
  getStats(): { readonly requests: number; readonly usedTokens: number };
}

const API_VERSION = '2023-06-01';
const MAX_ERROR_CHARACTERS = 300;
const FIRST_SERVER_ERROR = 500;
const RETRIED_STATUSES = new Set([408, 409, 429]);

/**
 * Claude by its Messages API, streamed: a silence is noticed within `idleTimeoutMs`, and an answer counts only with
 * its last event.
 * @throws InvalidOptionError
 */
export function createClaudeModel(given: ClaudeOptions): ClaudeModel {
  return new MessagesApi(parseClaudeOptions(given));
}

class MessagesApi implements ClaudeModel {
  readonly #options: ResolvedClaudeOptions;
  readonly #breaker: CircuitBreaker;
  #requests = 0;
  #usedTokens = 0;

  constructor(options: ResolvedClaudeOptions) {
    const { failureThreshold, openDurationMs, clock } = options;
    this.#options = options;
    this.#breaker = createCircuitBreaker('claude', { failureThreshold, openDurationMs, clock });
  }

  async complete(request: ModelRequest, options: ModelCallOptions = {}): Promise<ModelAnswer> {
    const { maxAttempts, initialDelayMs, maxDelayMs, clock, random } = this.#options;
    const { signal, onProgress } = options;
    const retry = createRetry('claude', {
      maxAttempts,
      initialDelayMs,
      maxDelayMs: Math.max(initialDelayMs, maxDelayMs),
      maxRetryAfterMs: maxDelayMs,
      timeoutMs: maxAttempts * (this.#options.timeoutMs + maxDelayMs),
      retryableErrors: isWorthRetrying,
      clock,
      random,
    });
    retry.on('retrying', ({ nextDelayMs }) =>
      onProgress?.({ kind: 'backing-off', delayMs: nextDelayMs }),
    );
    try {
      return await retry.execute(
        (attemptSignal, attempt) => {
          if (attempt > 1) onProgress?.({ kind: 'retrying', attempt });
          return this.#attempt(request, attemptSignal, options);
        },
        { signal },
      );
    } catch (error) {
      signal?.throwIfAborted();
      throw error instanceof RetryExhaustedError ? (error.attempts.at(-1)?.error ?? error) : error;
    }
  }

  getStats(): { readonly requests: number; readonly usedTokens: number } {
    return { requests: this.#requests, usedTokens: this.#usedTokens };
  }

  async #attempt(
    request: ModelRequest,
    signal: AbortSignal,
    { onProgress }: ModelCallOptions,
  ): Promise<ModelAnswer> {
    const { budgetTokens, maxAnswerTokens, timeoutMs, clock } = this.#options;
    if (this.#usedTokens + maxAnswerTokens > budgetTokens) {
      throw new ModelBudgetError(this.#usedTokens, budgetTokens);
    }
    const late = new ModelTimeoutError('no whole answer', timeoutMs);
    try {
      return await this.#breaker.execute(
        (limit) =>
          withDeadline(
            clock,
            timeoutMs,
            limit,
            () => late,
            (attempt) => this.#ask(request, attempt),
          ),
        { signal },
      );
    } catch (error) {
      signal.throwIfAborted();
      const failure = toModelError(error);
      const { message } = failure;
      if (failure instanceof ModelTimeoutError) onProgress?.({ kind: 'timeout', message });
      if (failure instanceof ModelAnswerCutError) onProgress?.({ kind: 'cut', message });
      if (failure instanceof ModelApiError) {
        onProgress?.({ kind: 'api-error', status: failure.status, message });
      }
      throw failure;
    }
  }

  async #ask({ system, prompt }: ModelRequest, signal: AbortSignal): Promise<ModelAnswer> {
    const { apiKey, baseUrl, model, maxAnswerTokens, fetch, idleTimeoutMs } = this.#options;
    this.#requests += 1;
    const silent = new ModelTimeoutError('no sign of life', idleTimeoutMs);
    const response = await withDeadline(
      this.#options.clock,
      idleTimeoutMs,
      signal,
      () => silent,
      () =>
        fetch(`${baseUrl}/v1/messages`, {
          method: 'POST',
          signal,
          redirect: 'error',
          headers: {
            'content-type': 'application/json',
            'x-api-key': apiKey(),
            'anthropic-version': API_VERSION,
          },
          body: JSON.stringify({
            model,
            max_tokens: maxAnswerTokens,
            stream: true,
            system,
            messages: [{ role: 'user', content: prompt }],
          }),
        }),
    );
    if (!response.ok) throw await this.#refusalOf(response);
    return this.#read(response, signal);
  }

  async #read(response: Response, signal: AbortSignal): Promise<ModelAnswer> {
    const { maxAnswerBytes, idleTimeoutMs, clock } = this.#options;
    const builder = new AnswerBuilder(maxAnswerBytes);
    const lines = new EventLines();
    const decoder = new TextDecoder();
    const reader = (response.body ?? new Blob([]).stream()).getReader();
    const silent = new ModelTimeoutError('no more of the answer', idleTimeoutMs);
    try {
      while (true) {
        const { done, value } = await withDeadline(
          clock,
          idleTimeoutMs,
          signal,
          () => silent,
          (limit) => readWithin(reader, limit),
        );
        if (done) break;
        for (const data of lines.push(decoder.decode(value, { stream: true }))) builder.add(data);
      }
      return builder.answer();
    } finally {
      this.#usedTokens += builder.inputTokens + builder.outputTokens;
      // What is left of a stream that is given up.
      reader.cancel().catch(() => {});
    }
  }

  async #refusalOf(response: Response): Promise<ModelApiError> {
    const { status, headers } = response;
    const text = await response.text().catch(() => '');
    const header = headers.get('retry-after');
    const retryAfterMs =
      header === null ? undefined : parseRetryAfter(header, this.#options.clock.epochMs());
    const isRetryable = status >= FIRST_SERVER_ERROR || RETRIED_STATUSES.has(status);
    return new ModelApiError(status, messageOf(text), isRetryable, retryAfterMs);
  }
}

type Read = Awaited<ReturnType<ReadableStreamDefaultReader<Uint8Array>['read']>>;

function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal,
): Promise<Read> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    reader
      .read()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}

function messageOf(text: string): string {
  let message: unknown = text;
  try {
    message = propertyOf(propertyOf(JSON.parse(text), 'error'), 'message') ?? text;
  } catch {
    // A proxy in between answers in another language.
  }
  return hideCredentials(String(message)).slice(0, MAX_ERROR_CHARACTERS);
}

/** An open circuit is no reason to hold the caller: whoever asks again later finds it closed. */
function isWorthRetrying(error: unknown): boolean {
  return isHoldfastError(error) && error.retryable && !(error instanceof CircuitOpenError);
}

/** A failed connection is an answer that was cut, wherever it was cut. */
function toModelError(error: unknown): Error {
  if (isHoldfastError(error)) return error;
  const cause: unknown = propertyOf(error, 'cause');
  const reason = String(propertyOf(cause, 'code') ?? propertyOf(error, 'message') ?? error);
  return new ModelAnswerCutError(`the connection failed: ${reason}`, error);
}
