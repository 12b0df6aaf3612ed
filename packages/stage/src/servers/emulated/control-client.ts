import { request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { CONTROL_PATH } from '@holdfast/emulators/programs';
import { type Clock, withDeadline } from '@holdfast/foundation';
import { ServerTimeoutError, StageControlError } from '../../errors.ts';
import type { ServerHandle } from '../../handle/handle.ts';
import { whileRunning } from '../../handle/while-running.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import { textFieldOf } from '../../system/fields.ts';

/** Changes the settings of a running emulator and reads its records. */
export interface ControlClient<Settings> {
  /**
   * Changes settings, one change after the other, and resolves when they are in force.
   * @throws StageStateError while the server does not run, StageControlError, ServerTimeoutError, ServerUnreachableError
   */
  change(verb: string, amend: (present: Settings) => Settings): Promise<void>;
  /** The requests that the server has received. */
  readRecords<Entry>(verb: string): Promise<readonly Entry[]>;
  clearRecords(verb: string): Promise<void>;
  /** The response of the emulator to a query of its own. */
  query(verb: string, path: string): Promise<unknown>;
}

/** @param settings what the emulator was started with. */
export function createControlClient<Settings>(
  handle: ServerHandle,
  settings: Settings,
  { clock, stopTimeoutMs }: { readonly clock: Clock; readonly stopTimeoutMs: number },
): ControlClient<Settings> {
  let present = settings;
  let lastChange: Promise<unknown> = Promise.resolve();

  const send = async (verb: string, message: ControlRequest): Promise<unknown> => {
    const { name } = handle;
    const late = (): Error =>
      new ServerTimeoutError(name, stopTimeoutMs, `did not answer ${verb}()`);
    return whileRunning(handle, verb, undefined, () =>
      withDeadline(clock, stopTimeoutMs, undefined, late, async (limit) =>
        resultOf(name, verb, await sendControlRequest(handle.direct, message, limit)),
      ),
    );
  };

  return {
    change(verb, amend) {
      const change = lastChange.then(async () => {
        const wanted = amend(present);
        await send(verb, { method: 'PUT', path: 'settings', body: JSON.stringify(wanted) });
        present = wanted;
      });
      lastChange = change.catch(() => undefined);
      return change;
    },
    async readRecords(verb) {
      const records = await send(verb, { method: 'GET', path: 'log' });
      // Both ends belong to this repository, so the list is what the emulator wrote.
      return Array.isArray(records) ? records : [];
    },
    async clearRecords(verb) {
      await send(verb, { method: 'DELETE', path: 'log' });
    },
    query: (verb, path) => send(verb, { method: 'GET', path }),
  };
}

/**
 * Replaces the settings of a server and resolves with those in force. Rejects with StageControlError when the
 * server refuses them, with the socket's error, or with the signal's reason.
 */
export async function putSettings(
  name: string,
  endpoint: Endpoint,
  settings: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  const message = { method: 'PUT', path: 'settings', body: JSON.stringify(settings) } as const;
  return resultOf(name, 'settings', await sendControlRequest(endpoint, message, signal));
}

interface ControlResponse {
  readonly status: number;
  readonly body: string;
}

function resultOf(name: string, verb: string, { status, body }: ControlResponse): unknown {
  const result: unknown = JSON.parse(body);
  if (status === 200) return result;
  throw new StageControlError(name, verb, textFieldOf(result, 'error') ?? 'it gave no reason');
}

interface ControlRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  /** Below {@link CONTROL_PATH}. */
  readonly path: string;
  readonly body?: string;
}

/** One exchange with the control server of an emulator, over a connection of its own. */
export function sendControlRequest(
  { host, port }: Endpoint,
  { method, path, body }: ControlRequest,
  signal: AbortSignal,
): Promise<ControlResponse> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : error);
    const sent = request(
      { host, port, method, path: CONTROL_PATH + path, agent: false, signal },
      (response) => {
        buffer(response).then(
          (bytes) => resolve({ status: response.statusCode ?? 0, body: bytes.toString('utf8') }),
          fail,
        );
      },
    );
    sent.on('error', fail);
    sent.end(body);
  });
}
