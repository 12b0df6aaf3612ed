import { types } from 'node:util';
import type { ServerUnderContract } from '../src/contract.ts';
import { type StageMode, openStage } from '../src/stage.ts';

/** An upstream whose routes are what the contract stores in it. */
export async function openUpstream(mode: StageMode): Promise<ServerUnderContract> {
  const stage = await openStage({ mode, upstream: true });
  const { upstream } = stage;
  const stored = new Map<string, string>();
  const read = async (path: string, signal: AbortSignal): Promise<string> => {
    // The reason of the abort is what the contract expects of a silent server.
    const response = await fetch(upstream.url + path, { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw causeOf(error);
    });
    return response.text();
  };
  return {
    server: upstream,
    close: () => stage.close(),
    ping: async (signal) => void (await read('/health', signal)),
    async store(key, value) {
      stored.set(`/${encodeURIComponent(key)}`, value);
      await upstream.script([...stored].map(([path, body]) => ({ path, body })));
    },
    recall: (key, signal) => read(`/${encodeURIComponent(key)}`, signal),
    startLine: /upstream listens on/,
  };
}

/** What fetch met: the socket's own error stands in its cause. */
export function causeOf(error: unknown): unknown {
  return types.isNativeError(error) && error.cause !== undefined ? error.cause : error;
}
