import type { DurableContext } from '@holdfast/operations';
import { StepFailedError } from '@holdfast/operations';
import { EditRefusedError } from '../errors.ts';
import type { EarlierWork, EditInput } from './edit-input.ts';
import type { PipelineShared } from './pipeline-shared.ts';
import { RunScope } from './run-scope.ts';
import type { RunSources } from './run-workspace.ts';
import type { EditStage } from './session-log.ts';
import type { EditDeadLetter, SessionChange, SessionState } from './session-store.ts';
import { parseEdit } from './site-edit.ts';
import { afterBuild, buildCommit, buildEdit } from './stage-build.ts';
import { type StoredAnswer, askModel, findBase } from './stage-edit.ts';
import { publish } from './stage-publish.ts';
import { push } from './stage-push.ts';

/** How an edit ended. */
export type EditOutcome =
  | { readonly kind: 'published'; readonly commit: string; readonly release: string }
  /** A later commit, which contains this one, is on the site. */
  | { readonly kind: 'superseded'; readonly commit: string }
  | { readonly kind: 'conflict'; readonly sideBranch: string; readonly paths: readonly string[] }
  | { readonly kind: 'failed'; readonly stage: EditStage; readonly reason: string };

/** Thrown within a run to end it with its outcome. */
class Failed extends Error {
  readonly stage: EditStage;
  readonly isFinal: boolean;

  /** @param isFinal whether the same edit would fail again: then there is nothing to redrive */
  constructor(stage: EditStage, reason: string, isFinal: boolean) {
    super(reason);
    this.stage = stage;
    this.isFinal = isFinal;
  }
}

/**
 * The way of one edit: begin > edit > build > commit > push > publish. Each stage is remembered, and what follows
 * depends on what is remembered alone, so that any worker can go on at any stage.
 */
export async function runEdit(
  shared: PipelineShared,
  context: DurableContext,
  input: EditInput,
): Promise<EditOutcome> {
  const scope = new RunScope(shared, context, input);
  let earlier: EarlierWork | null = input.earlier;
  const remember = (work: EarlierWork): void => void (earlier = work);
  let outcome: EditOutcome;
  let failure: Failed | undefined;
  try {
    outcome = await passStages(scope, remember);
  } catch (error) {
    context.signal.throwIfAborted();
    failure = failureOf(error);
    outcome = { kind: 'failed', stage: failure.stage, reason: failure.message };
  }
  const letter = failure === undefined ? undefined : letterOf(scope, failure, earlier);
  if (letter !== undefined) {
    scope.log(letter.stage, 'dead-letter', 'error', `Dead letter: ${letter.reason}`);
  }
  await scope.stage(
    'end',
    'end',
    async () => outcome,
    (ended, before) => afterEnd(ended, before, letter),
  );
  await scope.workspace.remove();
  return outcome;
}

async function passStages(
  scope: RunScope,
  remember: (work: EarlierWork) => void,
): Promise<EditOutcome> {
  const { input, editKey } = scope;
  const begin = input.earlier ?? (await beginning(scope));
  const { base, baseBranch, dateMs } = begin;
  const answer = input.earlier?.answer ?? (await answerOf(scope, begin));
  remember({ base, baseBranch, dateMs, answer });
  const edit = editOf(scope, answer);
  const sources: RunSources = { branch: input.branch, base, baseBranch, edit, editKey, dateMs };

  const built = await scope.stage(
    'build',
    'build',
    (step) => buildEdit(scope, sources, step),
    afterBuild,
  );
  if (built.kind === 'failed') throw new Failed('build', `build failed: ${built.reason}`, true);
  const commit = await scope.stage(
    'commit',
    'commit',
    ({ signal }) => scope.workspace.commit(sources, signal),
    (made) => ({ commit: made }),
  );
  const pushed = await push(scope, sources, commit);
  if (pushed.kind === 'conflict') return pushed;
  if (pushed.kind === 'given-up') throw new Failed('push', pushed.reason, false);

  const isOwn = pushed.commit === commit;
  if (!isOwn) {
    // The branch has more than was built: what others pushed.
    const rebuilt = await scope.stage(
      'build-rebased',
      'build',
      (step) => buildCommit(scope, pushed.commit, step),
      afterBuild,
    );
    if (rebuilt.kind === 'failed')
      throw new Failed('build', `build failed: ${rebuilt.reason}`, true);
  }
  const published = await publish(scope, { commit: pushed.commit, isOwn });
  if (published.kind === 'given-up') throw new Failed('publish', published.reason, false);
  if (published.kind === 'superseded') return { kind: 'superseded', commit: pushed.commit };
  return { kind: 'published', commit: pushed.commit, release: published.release };
}

async function beginning(scope: RunScope): Promise<Omit<EarlierWork, 'answer'>> {
  const { maxRounds } = scope.shared.options;
  for (let round = 0; ; round += 1) {
    const begin = await scope.stage(
      `begin-${round + 1}`,
      'begin',
      (step) => findBase(scope, step),
      ({ kind }) =>
        kind === 'ready' ? {} : { status: 'waiting', lastError: 'the git remote does not answer' },
    );
    if (begin.kind === 'ready') {
      const { base, baseBranch, dateMs } = begin;
      scope.networkFound('begin');
      return { base, baseBranch, dateMs };
    }
    const { failure } = begin;
    scope.networkLost('begin', `the git remote: ${failure.kind}`);
    if (round >= maxRounds) throw new Failed('begin', `the git remote: ${failure.kind}`, false);
    await scope.pause(round, 'retryAfterMs' in failure ? failure.retryAfterMs : null);
  }
}

async function answerOf(scope: RunScope, begin: Omit<EarlierWork, 'answer'>): Promise<string> {
  const answer: StoredAnswer = await scope.stage('edit', 'edit', (step) =>
    askModel(scope, begin, step),
  );
  if (answer.kind === 'failed') throw new Failed('edit', answer.reason, false);
  return JSON.stringify({ text: answer.text, stopReason: answer.stopReason });
}

function editOf(scope: RunScope, answer: string): ReturnType<typeof parseEdit> {
  try {
    return parseEdit(JSON.parse(answer));
  } catch (error) {
    if (!(error instanceof EditRefusedError)) throw error;
    scope.log('edit', 'edit-refused', 'error', error.message);
    throw new Failed('edit', error.message, true);
  }
}

function failureOf(error: unknown): Failed {
  if (error instanceof Failed) return error;
  if (!(error instanceof StepFailedError)) throw error;
  const [stage = 'begin'] = error.step.split('-');
  return new Failed(isStage(stage) ? stage : 'begin', error.message, false);
}

function isStage(name: string): name is EditStage {
  return ['begin', 'edit', 'build', 'commit', 'push', 'publish', 'end'].includes(name);
}

function letterOf(
  { input, shared }: RunScope,
  { stage, message, isFinal }: Failed,
  earlier: EarlierWork | null,
): EditDeadLetter | undefined {
  if (isFinal) return undefined;
  const { instruction, number } = input;
  return {
    stage,
    reason: message,
    atMs: shared.options.clock.epochMs(),
    instruction,
    number,
    earlier,
  };
}

function afterEnd(
  outcome: EditOutcome,
  before: SessionState,
  letter: EditDeadLetter | undefined,
): SessionChange {
  const others = before.deadLetters.filter(({ number }) => number !== letter?.number);
  const deadLetters = letter === undefined ? before.deadLetters : [...others, letter];
  switch (outcome.kind) {
    case 'published': {
      const { commit, release } = outcome;
      return { status: 'published', commit, release, lastError: undefined };
    }
    case 'superseded': {
      return { status: 'superseded', commit: outcome.commit, lastError: undefined };
    }
    case 'conflict': {
      const lastError = `merge conflict in ${outcome.paths.join(', ')}`;
      return { status: 'conflict', sideBranch: outcome.sideBranch, lastError };
    }
    case 'failed':
    default: {
      return { status: 'failed', lastError: outcome.reason, deadLetters };
    }
  }
}
