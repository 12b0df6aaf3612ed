import type { DurableRunner } from '@holdfast/operations';
import { InvalidOptionError, callSafely } from '@holdfast/foundation';
import { UnknownSessionError } from '../errors.ts';
import type { PipelineFunctions, PublishPipeline } from './create-pipeline.ts';
import type { EarlierWork, EditInput } from './edit-input.ts';
import type { SessionState } from './session-store.ts';

/** A new session. */
export interface SessionSpec {
  /** Letters, digits, `-` and `_`, up to 100. The same id twice is the same session. */
  readonly sessionId: string;
  /** Whose site it edits. */
  readonly clientId: string;
  /** The branch that it commits to. */
  readonly branch: string;
  readonly instruction: string;
}

/** A dead letter, with the session it is from. */
export interface SessionDeadLetter {
  readonly sessionId: string;
  readonly number: number;
  readonly reason: string;
  readonly stage: string;
  readonly instruction: string;
}

/** What every call takes. */
export interface ServiceCallOptions {
  /** Ends the wait with its reason; what was stored stays stored. */
  readonly signal?: AbortSignal;
}

/** Sessions on a durable runner. All calls reject with the runner's errors, too. */
export interface SessionService {
  /** Starts a session with its first instruction; stored when it resolves. @throws InvalidOptionError */
  createSession(spec: SessionSpec, options?: ServiceCallOptions): Promise<SessionState>;
  /** Adds an instruction to a session. @throws UnknownSessionError */
  sendMessage(
    sessionId: string,
    instruction: string,
    options?: ServiceCallOptions,
  ): Promise<SessionState>;
  /** @throws UnknownSessionError */
  getSessionState(sessionId: string, options?: ServiceCallOptions): Promise<SessionState>;
  /** Ends the pause of a push that waits for a credential or a remote. @throws UnknownSessionError */
  retryGitPush(sessionId: string, options?: ServiceCallOptions): Promise<void>;
  /**
   * Goes on with a session wherever it is: a pause ends, a dead letter is redriven, a run that its worker lost is
   * taken up by the next.
   * @throws UnknownSessionError
   */
  resumeSession(sessionId: string, options?: ServiceCallOptions): Promise<SessionState>;
  /** Edits that were given up, of all sessions. */
  deadLetters(options?: ServiceCallOptions): Promise<readonly SessionDeadLetter[]>;
  /** Stops waking runs at new credentials. Idempotent. */
  close(): void;
}

const ID = /^[\w-]{1,100}$/;
const BRANCH = /^(?!.*(?:\.\.|@\{|\/\/|\.lock(?:\/|$)))[\w][\w./-]{0,198}[\w]$/;
const MAX_INSTRUCTION = 100_000;

/** Sessions of a pipeline, on the runner that has its functions. */
export function createSessionService(
  pipeline: PublishPipeline,
  runner: DurableRunner<PipelineFunctions>,
): SessionService {
  const { sessions } = pipeline;
  const stopListening = pipeline.onCredential((runIds) => {
    for (const runId of runIds) {
      callSafely('waking a push', () => runner.send(runId, 'retry', 'credential'));
    }
  });
  const start = (
    state: SessionState,
    instruction: string,
    earlier: EarlierWork | null,
  ): Promise<void> =>
    runner.start('publishEdit', inputOf(state, instruction, earlier), { runId: state.runId });
  return {
    async createSession(spec, options) {
      checkSpec(spec);
      const state = await sessions.replace(
        spec.sessionId,
        (before) => before ?? firstState(spec),
        options,
      );
      // Stored by an earlier call that did not come to its end, or by this one: the run is the same.
      if (state.edits === 1) await start(state, spec.instruction, null);
      return state;
    },
    async sendMessage(sessionId, instruction, options) {
      checkInstruction(instruction);
      const state = await sessions.replace(
        sessionId,
        (before) => {
          if (before === undefined) throw new UnknownSessionError(sessionId);
          return nextState(before, before.edits + 1, `${sessionId}.${before.edits + 1}`);
        },
        options,
      );
      await start(state, instruction, null);
      return state;
    },
    getSessionState: (sessionId, options) => sessions.read(sessionId, options),
    async retryGitPush(sessionId, options) {
      const { runId } = await sessions.read(sessionId, options);
      await runner.send(runId, 'retry', 'push', options);
    },
    async resumeSession(sessionId, options) {
      const state = await sessions.read(sessionId, options);
      const letter = state.deadLetters.at(-1);
      if (letter === undefined) {
        if (isUnderWay(state)) await runner.send(state.runId, 'retry', 'resume', options);
        return state;
      }
      const resumed = await sessions.replace(
        sessionId,
        (before) => redriven(before ?? state, letter.number),
        options,
      );
      await start(resumed, letter.instruction, letter.earlier);
      return resumed;
    },
    deadLetters: async (options) => lettersOf(await sessions.list(options)),
    close: stopListening,
  };
}

function lettersOf(states: readonly SessionState[]): readonly SessionDeadLetter[] {
  return states.flatMap(({ sessionId, deadLetters }) =>
    deadLetters.map(({ number, reason, stage, instruction }) => ({
      sessionId,
      number,
      reason,
      stage,
      instruction,
    })),
  );
}

function inputOf(
  { sessionId, clientId, branch, runId }: SessionState,
  instruction: string,
  earlier: EarlierWork | null,
): EditInput {
  const number = Number(runId.split('.')[1]);
  return { sessionId, clientId, branch, instruction, number, earlier };
}

function isUnderWay({ status }: SessionState): boolean {
  return status === 'running' || status === 'waiting';
}

function firstState({ sessionId, clientId, branch }: SessionSpec): SessionState {
  return {
    sessionId,
    clientId,
    branch,
    status: 'running',
    stage: 'begin',
    edits: 1,
    runId: `${sessionId}.1`,
    fence: '0',
    warnings: [],
    deadLetters: [],
  };
}

function nextState(before: SessionState, edits: number, runId: string): SessionState {
  return { ...before, status: 'running', stage: 'begin', edits, runId, fence: '0' };
}

/** A redrive is a run of its own, of the same edit. */
function redriven(before: SessionState, number: number): SessionState {
  const [, , redrive = '0'] = before.runId.split('.');
  const runId = `${before.sessionId}.${number}.${Number(redrive) + 1}`;
  const deadLetters = before.deadLetters.filter((letter) => letter.number !== number);
  return { ...nextState(before, before.edits, runId), deadLetters };
}

function checkSpec({ sessionId, clientId, branch, instruction }: SessionSpec): void {
  const owner = 'createSession';
  if (!ID.test(sessionId)) throw new InvalidOptionError(owner, 'sessionId', sessionId, String(ID));
  if (!ID.test(clientId)) throw new InvalidOptionError(owner, 'clientId', clientId, String(ID));
  if (!BRANCH.test(branch))
    throw new InvalidOptionError(owner, 'branch', branch, 'a branch of git');
  checkInstruction(instruction);
}

function checkInstruction(instruction: string): void {
  if (typeof instruction === 'string' && instruction.length <= MAX_INSTRUCTION) return;
  const permitted = `a string of at most ${MAX_INSTRUCTION} characters`;
  throw new InvalidOptionError('sendMessage', 'instruction', instruction, permitted);
}
