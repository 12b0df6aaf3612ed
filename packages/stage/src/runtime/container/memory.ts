import { totalmem } from 'node:os';
import { FaultUnsupportedError } from '../../errors.ts';
import type { MemoryControl } from '../../limits/server-limits.ts';
import { type EngineAddress, askEngine, getFromEngine } from '../../system/container-engine.ts';
import { fieldOf } from '../../system/fields.ts';

/** Limits the memory of a running container; the engine keeps the limit across restarts. */
export function containerMemory(
  server: string,
  engine: EngineAddress,
  container: () => string | undefined,
): MemoryControl {
  const pathOf = (verb: string): string => {
    const id = container();
    if (id !== undefined) return `/containers/${id}/${verb}`;
    const reason = 'it has no container yet';
    throw new FaultUnsupportedError(server, 'limit its memory', reason, 'Start it first');
  };
  return {
    async limit(bytes, signal) {
      // The engine cannot remove a limit; all of the machine's memory has the same effect.
      const limitBytes = bytes ?? totalmem();
      const body = { Memory: limitBytes, MemorySwap: limitBytes };
      await askEngine(engine, { method: 'POST', path: pathOf('update'), body, signal });
    },
    async usedBytes(signal) {
      const stats = await getFromEngine(engine, pathOf('stats?stream=false&one-shot=true'), signal);
      const usage = fieldOf(fieldOf(stats, 'memory_stats'), 'usage');
      return typeof usage === 'number' ? usage : 0;
    },
  };
}
