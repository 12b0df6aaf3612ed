import { request } from 'node:http';
import { EngineError, engineStatus } from '../errors.ts';
import { fieldOf, textFieldOf } from './fields.ts';

/** Where a container engine of this machine listens. */
export type EngineAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number };

interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object;
  readonly signal: AbortSignal;
  /** False lets the process exit while the response is awaited. Default true. */
  readonly holdsProcess?: boolean;
}

/** A longer response is not read, in bytes. */
const REPLY_MAX_BYTES = 134_217_728;

/**
 * Sends one request to the engine's HTTP API and resolves with the body of the response. Rejects with
 * EngineError when the engine refuses, with the socket's error, or with the signal's own reason.
 * API: https://docs.docker.com/reference/api/engine/
 */
export function askEngine(
  engine: EngineAddress,
  { method, path, body, signal, holdsProcess = true }: EngineRequest,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => void sent.destroy(new Error('aborted'));
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      reject(signal.aborted ? signal.reason : error);
    };
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const sent = request({ ...engine, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      response.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes <= REPLY_MAX_BYTES) chunks.push(chunk);
        else sent.destroy(new Error(`the engine answered more than ${REPLY_MAX_BYTES} bytes`));
      });
      response.on('error', fail);
      response.on('end', () => {
        const received = Buffer.concat(chunks);
        const status = response.statusCode ?? 0;
        if (status >= 400) {
          fail(new EngineError(`${method} ${path}`, status, messageIn(received)));
        } else {
          signal.removeEventListener('abort', onAbort);
          resolve(received);
        }
      });
    });
    signal.addEventListener('abort', onAbort, { once: true });
    sent.on('error', fail);
    if (!holdsProcess) sent.on('socket', (socket) => socket.unref());
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    if (signal.aborted) onAbort();
  });
}

/** Gets a JSON document of the engine, such as the description of a container. */
export async function getFromEngine(
  engine: EngineAddress,
  path: string,
  signal: AbortSignal,
): Promise<unknown> {
  const body = await askEngine(engine, { method: 'GET', path, signal });
  return JSON.parse(body.toString('utf8'));
}

/** Runs a container that may be running, paused or stopped. */
export async function ensureRunning(
  engine: EngineAddress,
  container: string,
  signal: AbortSignal,
): Promise<void> {
  const path = `/containers/${container}`;
  const state = fieldOf(await getFromEngine(engine, `${path}/json`, signal), 'State');
  const verb = fieldOf(state, 'Paused') === true ? 'unpause' : 'start';
  if (fieldOf(state, 'Running') === true && verb === 'start') return;
  await askEngine(engine, { method: 'POST', path: `${path}/${verb}`, signal });
}

/** Removes every container with all of `labels` (`name=value`), running or not, and its unnamed volumes. */
export async function removeContainers(
  engine: EngineAddress,
  labels: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ label: labels }));
  const listed = await getFromEngine(engine, `/containers/json?all=1&filters=${filters}`, signal);
  for (const container of Array.isArray(listed) ? listed : []) {
    const id = textFieldOf(container, 'Id');
    if (id !== undefined) await removeContainer(engine, id, signal);
  }
}

async function removeContainer(
  engine: EngineAddress,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await askEngine(engine, { method: 'DELETE', path: `/containers/${id}?force=1&v=1`, signal });
  } catch (error) {
    // 404: already removed; 409: another client is removing it.
    const status = engineStatus(error);
    if (status !== 404 && status !== 409) throw error;
  }
}

/** The `message` of an error response, or the start of its body. */
function messageIn(body: Buffer): string {
  const text = body.toString('utf8');
  try {
    return textFieldOf(JSON.parse(text), 'message') ?? text.slice(0, 200);
  } catch {
    return text.slice(0, 200);
  }
}
