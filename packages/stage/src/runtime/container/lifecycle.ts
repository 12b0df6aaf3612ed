import { engineStatus } from '../../errors.ts';
import type { ServerInstance } from '../../handle/driver.ts';
import { type EngineAddress, askEngine } from '../../system/container-engine.ts';

/** How often a pause is requested when the engine fails to bring it about. */
const MAX_PAUSES = 5;

/** The present run of a container that has just been started. */
export function followContainer(
  engine: EngineAddress,
  id: string,
  stopSignal: NodeJS.Signals = 'SIGTERM',
): ServerInstance {
  const request = async (verb: string, signal: AbortSignal): Promise<void> => {
    await askEngine(engine, { method: 'POST', path: `/containers/${id}/${verb}`, signal });
  };
  const send = async (name: string, signal: AbortSignal): Promise<void> => {
    try {
      await request(`kill?signal=${name}`, signal);
    } catch (error) {
      // 404, 409: it has ended before the signal was sent.
      const status = engineStatus(error);
      if (status !== 404 && status !== 409) throw error;
    }
  };
  const pause = async (signal: AbortSignal, attempts = MAX_PAUSES): Promise<void> => {
    try {
      await request('pause', signal);
    } catch (error) {
      // A health check that starts at that moment prevents the pause; nothing is frozen then.
      if (engineStatus(error) !== 500 || attempts === 1) throw error;
      await pause(signal, attempts - 1);
    }
  };
  return {
    ended: waitUntilEnded(engine, id),
    terminate: (signal) => send(stopSignal, signal),
    kill: (signal) => send('SIGKILL', signal),
    freeze: (signal) => pause(signal),
    thaw: (signal) => request('unpause', signal),
  };
}

/** The engine answers this request when the container ends or is removed. */
async function waitUntilEnded(engine: EngineAddress, id: string): Promise<string> {
  try {
    const response = await askEngine(engine, {
      method: 'POST',
      path: `/containers/${id}/wait?condition=not-running`,
      signal: new AbortController().signal,
      holdsProcess: false,
    });
    return `the engine reports ${response.toString('utf8').trim()}`;
  } catch (error) {
    return `the engine no longer answers: ${String(error)}`;
  }
}

/** The output of a container across its runs, as far as the engine keeps it. */
export async function readLogs(
  engine: EngineAddress,
  id: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const path = `/containers/${id}/logs?stdout=1&stderr=1`;
  return joinFrames(await askEngine(engine, { method: 'GET', path, signal }));
}

/**
 * The payload of the engine's stream of frames: each has a header of 8 bytes, the last 4 of which hold the
 * length. Format: https://docs.docker.com/reference/api/engine/, "Attach to a container", Stream format.
 */
export function joinFrames(stream: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= stream.length;) {
    const end = at + 8 + stream.readUInt32BE(at + 4);
    pieces.push(stream.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(pieces);
}
