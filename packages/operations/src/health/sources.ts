/**
 * Checks of what other packages say of themselves. They are known by their shape, so that none of them is loaded here:
 * queue, storage and database have `health()`, a resilience stack has `getHealthState()`, a cache shared through Redis
 * says in `getStats()` whether it is connected.
 */
import { InvalidOptionError } from '@holdfast/foundation';
import type { ComponentState, HealthCheck } from './health.ts';

/** The levels of the other packages. */
export interface LeveledHealth {
  readonly level: 'healthy' | 'degraded' | 'critical';
}

/** What can be asked how it is doing; the first of the methods that it has is called. */
export type HealthSource =
  | { health(): LeveledHealth | PromiseLike<LeveledHealth> }
  | { getHealthState(): LeveledHealth }
  | { getStats(): { readonly redis: { readonly isConnected: boolean } } };

const statuses = { healthy: 'pass', degraded: 'warn', critical: 'fail' } as const;

/**
 * A check that asks the source. `degraded` is `warn`: the source still does its work.
 * @throws InvalidOptionError for what has none of the methods
 */
export function checkOf(source: HealthSource): HealthCheck {
  if ('health' in source) return async () => stateOf(await source.health());
  if ('getHealthState' in source) return () => stateOf(source.getHealthState());
  if ('getStats' in source) return () => connectionOf(source.getStats());
  const permitted = 'an object with health, getHealthState or getStats';
  throw new InvalidOptionError('checkOf', 'source', source, permitted);
}

function stateOf({ level }: LeveledHealth): ComponentState {
  return level === 'healthy' ? { status: 'pass' } : { status: statuses[level], reason: level };
}

/** A cache without Redis still answers, from memory and from its source. */
function connectionOf({
  redis,
}: {
  readonly redis: { readonly isConnected: boolean };
}): ComponentState {
  if (redis.isConnected) return { status: 'pass' };
  return { status: 'warn', reason: 'not connected to Redis: memory and source answer' };
}
