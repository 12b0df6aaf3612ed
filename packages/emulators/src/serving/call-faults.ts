import type { IncomingMessage } from 'node:http';
import { type Clock, sleep } from '@holdfast/foundation';

/** Answers with this status and code. */
export interface ErrorFault {
  readonly kind: 'error';
  readonly status: number;
  readonly code: string;
  /** Sent as Retry-After, in seconds. */
  readonly retryAfterS?: number;
  /** `after`: what was asked is done first, and only its answer is withheld. Default `before`. */
  readonly when?: 'before' | 'after';
}

/** What a server of ours does to one request instead of answering it well. */
export type ServerFault =
  | ErrorFault
  /** Ends the connection without an answer. */
  | { readonly kind: 'reset'; readonly when?: 'before' | 'after' }
  /** Lets it wait first, and then answers it well. */
  | { readonly kind: 'delay'; readonly delayMs: number };

/** A request as a fault hook sees it. */
export interface ServerCall {
  /** As the API calls it, such as `PutObject` or `upload`. */
  readonly operation: string;
  /** Empty where the request is about none. */
  readonly bucket: string;
  readonly key: string;
}

/** Asked for each request before anything is done; `undefined` lets it pass. */
export type FaultHook = (call: ServerCall) => ServerFault | undefined;

/**
 * Answers a request as its fault has it; `undefined` when it has ended the connection instead.
 * @param work what answers it well.
 * @param refused the answer of a refusal.
 * @param discard lets go of an answer that is not sent.
 */
export async function answerWithFault<Answer>(
  fault: ServerFault | undefined,
  message: IncomingMessage,
  clock: Clock,
  work: () => Promise<Answer>,
  refused: (fault: ErrorFault) => Answer,
  discard: (answer: Answer) => void,
): Promise<Answer | undefined> {
  if (fault === undefined) return work();
  if (fault.kind === 'delay') {
    await stall(fault.delayMs, message, clock);
    return work();
  }
  if (fault.when === 'after') discard(await work());
  if (fault.kind === 'error') return refused(fault);
  message.socket.resetAndDestroy();
  return undefined;
}

/** Lets a client wait; rejects when it goes away meanwhile. */
export async function stall(
  delayMs: number,
  { socket }: IncomingMessage,
  clock: Clock,
): Promise<void> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort(new Error('the client has gone'));
  socket.once('close', onClose);
  try {
    await sleep(clock, delayMs, gone.signal);
  } finally {
    socket.off('close', onClose);
  }
}
