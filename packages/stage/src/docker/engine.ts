import { request } from 'node:http';

/** Where a container engine on this machine answers. */
export type EngineAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number };

export interface EngineReply {
  readonly status: number;
  readonly body: Buffer;
}

/** No answer that is read whole is longer, in bytes. */
const REPLY_MAX_BYTES = 67_108_864;

/**
 * One request to the engine's HTTP API. Rejects with the socket's error or with the signal's own reason;
 * an answer is an answer whatever its status.
 * API: https://docs.docker.com/reference/api/engine/
 */
export function askEngine(
  engine: EngineAddress,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  signal: AbortSignal,
): Promise<EngineReply> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...engine, method, path, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > REPLY_MAX_BYTES) sent.destroy(new Error('the engine answered too much'));
        else chunks.push(chunk);
      });
      answer.on('end', () => {
        stop();
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) });
      });
      answer.on('error', fail);
    });
    const stop = (): void => signal.removeEventListener('abort', onAbort);
    const fail = (error: unknown): void => {
      stop();
      reject(signal.aborted ? signal.reason : error);
    };
    const onAbort = (): void => void sent.destroy(new Error('given up'));
    signal.addEventListener('abort', onAbort, { once: true });
    sent.on('error', fail);
    sent.end();
    if (signal.aborted) onAbort();
  });
}

/** Removes every container that bears `label` (`name=value`), running or not, and its unnamed volumes. */
export async function removeContainers(
  engine: EngineAddress,
  label: string,
  signal: AbortSignal,
): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
  const listed = await askEngine(
    engine,
    'GET',
    `/containers/json?all=1&filters=${filters}`,
    signal,
  );
  for (const id of containerIds(listed.body.toString('utf8'))) {
    await askEngine(engine, 'DELETE', `/containers/${id}?force=1&v=1`, signal);
  }
}

function containerIds(listing: string): string[] {
  const containers: unknown = JSON.parse(listing);
  if (!Array.isArray(containers)) return [];
  return containers.flatMap((container: unknown) =>
    typeof container === 'object' &&
    container !== null &&
    'Id' in container &&
    typeof container.Id === 'string'
      ? [container.Id]
      : [],
  );
}
