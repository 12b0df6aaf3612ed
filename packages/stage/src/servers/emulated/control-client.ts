import { request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { type Clock, withDeadline } from '@holdfast/foundation';
import { ServerTimeoutError, StageStateError, StageControlError } from '../../errors.ts';
import type { Address } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import { CONTROL_PATH } from '@holdfast/emulators/programs';

/** The stage's end of a program that is told what to do while it runs. */
export interface ControlClient<Settings> {
  /**
   * Changes settings, one change after the other, and resolves when they are in force.
   * @throws StageStateError while the server does not run, StageControlError, ServerTimeoutError
   */
  change(verb: string, amend: (now: Settings) => Settings): Promise<void>;
  /** What the server was asked, as it tells it. */
  readLog(verb: string): Promise<unknown>;
  clearLog(verb: string): Promise<void>;
  /** What the program answers to a question of its own. */
  ask(verb: string, question: string): Promise<unknown>;
}

interface Patience {
  readonly clock: Clock;
  readonly stopTimeoutMs: number;
}

/** @param settings what the program was started with. */
export function createControlClient<Settings>(
  handle: ServerHandle,
  settings: Settings,
  { clock, stopTimeoutMs }: Patience,
): ControlClient<Settings> {
  let taken = settings;
  let lastChange: Promise<unknown> = Promise.resolve();

  const ask = (verb: string, what: ControlRequest): Promise<unknown> => {
    const { name, state } = handle;
    if (state !== 'running') throw new StageStateError(name, verb, state, ['running']);
    const late = (): Error =>
      new ServerTimeoutError(name, stopTimeoutMs, `did not answer ${verb}()`);
    return withDeadline(clock, stopTimeoutMs, undefined, late, async (limit) =>
      answerOf(name, verb, await sendControlRequest(handle.direct, what, limit)),
    );
  };

  return {
    change(verb, amend) {
      const turn = lastChange.then(async () => {
        const wanted = amend(taken);
        await ask(verb, { method: 'PUT', path: 'settings', body: JSON.stringify(wanted) });
        taken = wanted;
      });
      lastChange = turn.catch(() => undefined);
      return turn;
    },
    readLog: async (verb) => ask(verb, { method: 'GET', path: 'log' }),
    async clearLog(verb) {
      await ask(verb, { method: 'DELETE', path: 'log' });
    },
    ask: async (verb, question) => ask(verb, { method: 'GET', path: question }),
  };
}

/**
 * Tells a server of that name what it is to be; resolves with what it then says it is.
 * Rejects with StageControlError when it refuses, with the socket's error, or with the signal's reason.
 */
export async function putSettings(
  name: string,
  address: Address,
  settings: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  const what = { method: 'PUT', path: 'settings', body: JSON.stringify(settings) } as const;
  return answerOf(name, 'settings', await sendControlRequest(address, what, signal));
}

interface ControlAnswer {
  readonly status: number;
  readonly body: string;
}

function answerOf(name: string, verb: string, { status, body }: ControlAnswer): unknown {
  const said: unknown = JSON.parse(body);
  if (status === 200) return said;
  throw new StageControlError(name, verb, errorIn(said));
}

interface ControlRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  /** Behind {@link CONTROL_PATH}. */
  readonly path: string;
  readonly body?: string;
}

/** One exchange with a program's control, over a connection of its own. */
export function sendControlRequest(
  { host, port }: Address,
  { method, path, body }: ControlRequest,
  signal: AbortSignal,
): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : error);
    const sent = request(
      { host, port, method, path: CONTROL_PATH + path, agent: false, signal },
      (answer) => {
        buffer(answer).then(
          (bytes) => resolve({ status: answer.statusCode ?? 0, body: bytes.toString('utf8') }),
          fail,
        );
      },
    );
    sent.on('error', fail);
    sent.end(body);
  });
}

function errorIn(said: unknown): string {
  const isTold = typeof said === 'object' && said !== null && 'error' in said;
  return isTold ? String(said.error) : 'it did not say why';
}
