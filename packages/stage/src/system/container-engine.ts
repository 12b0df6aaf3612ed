import { request } from 'node:http';
import { EngineError, engineStatus } from '../errors.ts';

/** Where a container engine on this machine answers. */
export type EngineAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number };

export interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object;
  readonly signal: AbortSignal;
  /** False lets the process exit while the answer is awaited. Default true. */
  readonly holdsProcess?: boolean;
}

/** No answer is read that is longer, in bytes. */
const REPLY_MAX_BYTES = 134_217_728;

/**
 * One request to the engine's HTTP API; resolves with the body of its answer. Rejects with EngineError
 * when the engine refuses, with the socket's error, or with the signal's own reason.
 * API: https://docs.docker.com/reference/api/engine/
 */
export function askEngine(
  engine: EngineAddress,
  { method, path, body, signal, holdsProcess = true }: EngineRequest,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => void sent.destroy(new Error('given up'));
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      reject(signal.aborted ? signal.reason : error);
    };
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const sent = request({ ...engine, method, path, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      answer.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes <= REPLY_MAX_BYTES) chunks.push(chunk);
        else sent.destroy(new Error(`the engine answered more than ${REPLY_MAX_BYTES} bytes`));
      });
      answer.on('error', fail);
      answer.on('end', () => {
        const answered = Buffer.concat(chunks);
        const status = answer.statusCode ?? 0;
        if (status >= 400) {
          fail(new EngineError(`${method} ${path}`, status, messageIn(answered)));
        } else {
          signal.removeEventListener('abort', onAbort);
          resolve(answered);
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

/**
 * Removes every container that bears all `labels` (`name=value`), running or not, and its unnamed
 * volumes.
 */
export async function removeContainers(
  engine: EngineAddress,
  labels: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ label: labels }));
  const path = `/containers/json?all=1&filters=${filters}`;
  const listing = await askEngine(engine, { method: 'GET', path, signal });
  for (const id of containerIds(listing.toString('utf8'))) {
    await removeContainer(engine, id, signal);
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
    // 404: gone already; 409: somebody else is removing it.
    const status = engineStatus(error);
    if (status !== 404 && status !== 409) throw error;
  }
}

function containerIds(listing: string): string[] {
  const containers: unknown = JSON.parse(listing);
  return Array.isArray(containers)
    ? containers.flatMap((container: unknown) => textField(container, 'Id') ?? [])
    : [];
}

/** The engine's own words, `{"message": "..."}`, or the start of whatever it said. */
function messageIn(body: Buffer): string {
  const said = body.toString('utf8');
  try {
    return textField(JSON.parse(said), 'message') ?? said.slice(0, 200);
  } catch {
    return said.slice(0, 200);
  }
}

function textField(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const field: unknown = Reflect.get(value, name);
  return typeof field === 'string' ? field : undefined;
}
