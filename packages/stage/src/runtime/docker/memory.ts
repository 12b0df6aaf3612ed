import { totalmem } from 'node:os';
import { FaultUnsupportedError } from '../../errors.ts';
import type { MemoryControl } from '../../limits/server-limits.ts';
import { type EngineAddress, askEngine } from '../../system/container-engine.ts';

/** Bounds the memory of a container while it runs; the engine keeps the bound over its restarts. */
export function containerMemory(
  server: string,
  engine: EngineAddress,
  container: () => string | undefined,
): MemoryControl {
  const path = (verb: string): string => {
    const id = container();
    if (id !== undefined) return `/containers/${id}/${verb}`;
    const reason = 'it has no container yet';
    throw new FaultUnsupportedError(server, 'bound its memory', reason, 'Start it first');
  };
  return {
    async limit(bytes, signal) {
      // The engine has no word for lifting a bound: one that cannot be reached is as good.
      const most = bytes ?? totalmem();
      const body = { Memory: most, MemorySwap: most };
      await askEngine(engine, { method: 'POST', path: path('update'), body, signal });
    },
    async usedBytes(signal) {
      const query = {
        method: 'GET',
        path: path('stats?stream=false&one-shot=true'),
        signal,
      } as const;
      const said: unknown = JSON.parse((await askEngine(engine, query)).toString('utf8'));
      return usageIn(said);
    },
  };
}

function usageIn(said: unknown): number {
  const memory = fieldOf(said, 'memory_stats');
  const usage = fieldOf(memory, 'usage');
  return typeof usage === 'number' ? usage : 0;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
