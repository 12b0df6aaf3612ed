import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeThrown, isHoldfastError } from '@holdfast/foundation';
import { createRetry, type Retry, RetryExhaustedError } from '@holdfast/resilience';
import type { BuiltFile, VerifiedBuild } from '../build/verified-build.ts';
import { BuildNotVerifiedError, SiteStoreError } from '../errors.ts';
import type { PublishDeps } from './publish-options.ts';
import { isContentOf } from './release.ts';

/** What became of one file. */
export type UploadedKey =
  | { readonly kind: 'uploaded'; readonly path: string; readonly bytes: number }
  | { readonly kind: 'present'; readonly path: string }
  | { readonly kind: 'failed'; readonly path: string; readonly reason: string };

/** What became of all of them; `failure` is that of the first. */
export interface UploadResult {
  readonly keys: readonly UploadedKey[];
  readonly failure: SiteStoreError | undefined;
}

/** Sends one file; resolves with false when its content was there. */
type SendFile = (file: BuiltFile, content: Buffer, signal: AbortSignal) => Promise<boolean>;

/**
 * Sends files, some at a time. Each is read and compared with what was verified just before it is sent. When one
 * cannot be sent, the others are not tried any more.
 * @throws BuildNotVerifiedError; the reason of the signal
 */
export async function uploadFiles(
  build: VerifiedBuild,
  files: readonly BuiltFile[],
  send: SendFile,
  { options, signal }: PublishDeps,
): Promise<UploadResult> {
  const keys: UploadedKey[] = [];
  const ended = new AbortController();
  const stop = AbortSignal.any([ended.signal, signal]);
  const retry = uploadRetry(options);
  let failure: SiteStoreError | undefined;
  let defect: Error | undefined;
  const waiting = [...files];
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      if (stop.aborted) {
        keys.push({ kind: 'failed', path: file.path, reason: 'not tried' });
        continue;
      }
      try {
        keys.push(await sendOne(build, file, send, retry, stop));
      } catch (thrown) {
        const error = toError(lastOf(thrown));
        keys.push({ kind: 'failed', path: file.path, reason: error.message });
        if (!(error instanceof SiteStoreError)) defect ??= error;
        else if (failure === undefined && !stop.aborted) failure = error;
        // It was tried often enough; a release lacks nothing, so the others would be sent for nothing.
        ended.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  signal.throwIfAborted();
  if (defect !== undefined && failure === undefined) throw defect;
  return { keys, failure };
}

async function sendOne(
  build: VerifiedBuild,
  file: BuiltFile,
  send: SendFile,
  retry: Retry,
  signal: AbortSignal,
): Promise<UploadedKey> {
  const content = await readFile(join(build.directory, ...file.path.split('/')));
  if (!isContentOf(file.sha256, content)) {
    throw new BuildNotVerifiedError(`${file.path} changed after it was verified`);
  }
  const { path, bytes } = file;
  const isSent = await retry.execute((attempt) => send(file, content, attempt), { signal });
  return isSent ? { kind: 'uploaded', path, bytes } : { kind: 'present', path };
}

function uploadRetry({
  maxUploadAttempts,
  retryDelayMs,
  clock,
  random,
}: PublishDeps['options']): Retry {
  return createRetry('site-upload', {
    maxAttempts: maxUploadAttempts,
    initialDelayMs: retryDelayMs,
    retryableErrors: (error) => isHoldfastError(error) && error.retryable,
    clock,
    random,
  });
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(describeThrown(thrown));
}

function lastOf(error: unknown): unknown {
  return error instanceof RetryExhaustedError ? error.attempts.at(-1)?.error : error;
}
