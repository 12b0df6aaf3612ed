import { isHoldfastError } from '@holdfast/foundation';
import type { StepContext } from '@holdfast/operations';
import { BaseBranchMissingError, GitCommandError } from '../errors.ts';
import type { RemoteFailure } from '../git/probe-remote.ts';
import type { ModelProgress } from '../llm/edit-model.ts';
import type { RunScope } from './run-scope.ts';
import { editRequest } from './site-edit.ts';

/** Where an edit begins, or why not. */
type Begin =
  | {
      readonly kind: 'ready';
      readonly base: string;
      readonly baseBranch: string;
      readonly dateMs: number;
    }
  | { readonly kind: 'unreachable'; readonly failure: RemoteFailure };

/** The answer as it is remembered before anything is done with it. */
export type StoredAnswer =
  | { readonly kind: 'answered'; readonly text: string; readonly stopReason: string }
  | { readonly kind: 'failed'; readonly reason: string };

const MS_PER_SECOND = 1_000;

/** Finds out where the branch is. */
export async function findBase(scope: RunScope, { signal }: StepContext): Promise<Begin> {
  const { workspace, input, shared } = scope;
  const { baseBranch, clock } = shared.options;
  for (const lock of await workspace.open(signal)) {
    scope.log('begin', 'git-lock-removed', 'warning', `Removed a stale lock: ${lock}`);
  }
  const probe = await workspace.git.probe(signal);
  if (probe.kind !== 'reachable') return { kind: 'unreachable', failure: probe };
  const branch = probe.refs.has(`refs/heads/${input.branch}`) ? input.branch : baseBranch;
  if (!probe.refs.has(`refs/heads/${branch}`)) throw new BaseBranchMissingError(branch);
  const base = await workspace.git.fetch(branch, signal);
  return { kind: 'ready', base, baseBranch: branch, dateMs: clock.epochMs() };
}

/** Asks the model. What it answers is stored by the runner before it is used. */
export async function askModel(
  scope: RunScope,
  { base, baseBranch }: { readonly base: string; readonly baseBranch: string },
  { signal }: StepContext,
): Promise<StoredAnswer> {
  const { workspace, input, shared } = scope;
  await workspace.open(signal);
  await workspace.have(base, baseBranch, signal);
  await workspace.git.checkout(base, signal);
  const request = await editRequest(input.instruction, workspace.sources);
  try {
    const answer = await shared.options.model.complete(request, {
      signal,
      onProgress: (progress) => logProgress(scope, progress),
    });
    scope.log('edit', 'claude-completed', 'info', 'Claude command completed');
    return { kind: 'answered', text: answer.text, stopReason: answer.stopReason };
  } catch (error) {
    signal.throwIfAborted();
    if (!isHoldfastError(error) || error instanceof GitCommandError) throw error;
    scope.log('edit', 'claude-failed', 'error', error.message);
    return { kind: 'failed', reason: error.message };
  }
}

function logProgress(scope: RunScope, progress: ModelProgress): void {
  switch (progress.kind) {
    case 'timeout': {
      return scope.log('edit', 'claude-timeout', 'warning', progress.message);
    }
    case 'api-error': {
      return scope.log('edit', 'claude-error', 'warning', progress.message);
    }
    case 'cut': {
      return scope.log('edit', 'claude-cut', 'warning', progress.message);
    }
    case 'backing-off': {
      const seconds = progress.delayMs / MS_PER_SECOND;
      return scope.log('edit', 'claude-backing-off', 'info', `Backing off ${seconds} seconds`);
    }
    case 'retrying': {
      const { attempt } = progress;
      return scope.log('edit', 'claude-retrying', 'info', `Retrying Claude request (${attempt})`);
    }
  }
}
