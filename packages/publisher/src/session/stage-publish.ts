import { CircuitOpenError } from '@holdfast/resilience';
import type { StepContext } from '@holdfast/operations';
import { SiteStoreError } from '../errors.ts';
import type { PublishOutcome } from '../publish/publisher.ts';
import type { RunScope } from './run-scope.ts';
import type { SessionChange } from './session-store.ts';
import { EDIT_BUILD, buildCommit } from './stage-build.ts';

/** What is to be published. */
interface PushedCommit {
  /** The commit of the branch. */
  readonly commit: string;
  /** Whether it is the commit that was built before it was pushed. */
  readonly isOwn: boolean;
}

/** How a publish ended. */
type PublishEnd =
  | { readonly kind: 'published'; readonly release: string }
  | { readonly kind: 'superseded' }
  | { readonly kind: 'given-up'; readonly reason: string };

type Attempt =
  | PublishEnd
  | {
      readonly kind: 'failed';
      readonly reason: string;
      readonly retryAfterMs: number | null;
    };

/** Publishes in rounds until the target has the commit. */
export async function publish(scope: RunScope, publication: PushedCommit): Promise<PublishEnd> {
  const { maxRounds } = scope.shared.options;
  for (let round = 0; ; round += 1) {
    const attempt = await scope.stage(
      `publish-${round + 1}`,
      'publish',
      (step) => publishOnce(scope, publication, round + 1, step),
      afterPublish,
    );
    if (attempt.kind !== 'failed') return attempt;
    if (round >= maxRounds) {
      const message = `S3 sync failed after retries: ${attempt.reason}`;
      scope.log('publish', 's3-failed-after-retries', 'error', message);
      return { kind: 'given-up', reason: attempt.reason };
    }
    await scope.pause(round, attempt.retryAfterMs);
  }
}

async function publishOnce(
  scope: RunScope,
  publication: PushedCommit,
  round: number,
  step: StepContext,
): Promise<Attempt> {
  const { shared, input } = scope;
  const target = shared.options.target(input.clientId);
  const circuit = shared.circuits.get(target.name);
  try {
    const outcome = await circuit.execute(
      async (signal) => {
        scope.log('publish', 's3-attempt', 'info', `S3 sync attempt ${round}: ${target.name}`);
        const sent = await send(scope, publication, { ...step, signal });
        if (sent.kind === 'failed') throw sent.error;
        return sent;
      },
      { signal: step.signal },
    );
    return succeeded(scope, outcome);
  } catch (error) {
    step.signal.throwIfAborted();
    const isOpen = error instanceof CircuitOpenError;
    if (!isOpen && !(error instanceof SiteStoreError)) throw error;
    return failed(scope, target.name, error);
  }
}

type Sent = Exclude<PublishOutcome, { readonly kind: 'failed' }>;

function succeeded(scope: RunScope, outcome: Sent): Attempt {
  scope.networkFound('publish');
  if (outcome.kind === 'superseded') {
    scope.log('publish', 's3-superseded', 'info', 'A later commit is published');
    return { kind: 'superseded' };
  }
  const { release, uploadedBytes } = outcome;
  const message = `S3 sync complete: ${release}, ${uploadedBytes} bytes uploaded`;
  scope.log('publish', 's3-complete', 'info', message);
  return { kind: 'published', release };
}

function failed(
  scope: RunScope,
  target: string,
  error: CircuitOpenError | SiteStoreError,
): Attempt {
  const { message: reason } = error;
  if (error instanceof CircuitOpenError) {
    const message = `Circuit breaker prevented S3 sync to ${target}`;
    scope.log('publish', 'circuit-prevented', 'warning', message);
  } else {
    if (error.kind === 'network') scope.networkLost('publish', reason);
    scope.log('publish', 's3-failed', 'error', `S3 sync failed: ${reason}`);
    if (scope.shared.circuits.get(target).getStats().state === 'open') {
      scope.log('publish', 'circuit-open', 'error', `Circuit breaker open: S3 ${target}`);
    }
  }
  return { kind: 'failed', reason, retryAfterMs: error.retryAfterMs ?? null };
}

async function send(
  scope: RunScope,
  { commit, isOwn }: PushedCommit,
  { fence, signal }: StepContext,
): Promise<PublishOutcome> {
  const { workspace, shared, input, context } = scope;
  const name = isOwn ? EDIT_BUILD : commit;
  let build = workspace.built(name) ?? workspace.built(commit);
  if (build === undefined) {
    // Another process built it: its files are elsewhere, or gone.
    const again = await buildCommit(scope, commit, { signal });
    build = workspace.built(commit);
    if (build === undefined) {
      throw new SiteStoreError('conflict', again.kind === 'failed' ? again.reason : 'no build');
    }
  }
  const order = await workspace.git.depthOf(commit, signal);
  const { publisher } = shared.options.target(input.clientId);
  const stamp = { branch: input.branch, commit, order, run: context.runId, fence };
  return publisher.publish(build, stamp, { signal });
}

function afterPublish(attempt: Attempt): SessionChange {
  if (attempt.kind === 'published') return { release: attempt.release, lastError: undefined };
  if (attempt.kind === 'superseded') return { lastError: undefined };
  return { status: 'waiting', lastError: `S3 sync failed: ${attempt.reason}` };
}
