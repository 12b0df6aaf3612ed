import { isHoldfastError } from '@holdfast/foundation';
import type { FastifyReply } from 'fastify';
import { type Problem, problemOf } from './problem.ts';

/** Answers with what an error is to a client; an unexpected one is a warning of the process. */
export function sendError(
  error: unknown,
  reply: FastifyReply,
  { retryAfterMs }: { readonly retryAfterMs: number },
): FastifyReply {
  const found = problemOf(error);
  if (found.status === 500) process.emitWarning(error instanceof Error ? error : String(error));
  if (found.status === 503) {
    const after = isHoldfastError(error) ? error.retryAfterMs : undefined;
    reply.header('retry-after', inSeconds(after ?? retryAfterMs));
  }
  return sendProblem(reply, found);
}

export function sendProblem(reply: FastifyReply, found: Problem): FastifyReply {
  return reply
    .code(found.status)
    .header('cache-control', 'no-store')
    .type('application/problem+json')
    .send(JSON.stringify(found));
}

/** For `Retry-After`. */
export function inSeconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)));
}
