import { BackendError } from '../../errors.ts';
import {
  LATE_MS,
  type ScheduleNotice,
  type ScheduleRecord,
  type ScheduleStore,
} from '../../schedules/schedule-store.ts';
import type { Connections } from '../connection/connections.ts';
import { topicKeys } from '../keys.ts';
import { type LuaScript, runScript, script } from '../scripts/script.ts';

/** Longer than the longest time between two ticks of a yearly schedule. */
const KEEP_MS = 400 * 86_400_000;

/**
 * Raises the last tick of a schedule by compare-and-set, and tells it with the time of the server. A tick that is far
 * ahead of that time was issued by a wrong clock, and must not silence the other processes.
 *
 *   KEYS  1 hash of the schedule   ARGV  1 'declare', 'raise' or 'remove'   2 tick, or 0   3 its TTL in ms
 *   Returns { up to when ticks are settled, or 0, 1 when it was removed, time of the server in ms }
 */
const exchangeScript: LuaScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'last', 'removed')
local last, removed = tonumber(kept[1]) or 0, kept[2] == '1'
local tick = math.min(tonumber(ARGV[2]), now + ${LATE_MS})
if ARGV[1] == 'remove' then
  redis.call('HSET', KEYS[1], 'removed', 1)
  removed = true
elseif ARGV[1] == 'declare' and removed then
  redis.call('HDEL', KEYS[1], 'removed')
  -- Nothing was missed while it was removed.
  removed, tick = false, now
end
if tick > last then
  redis.call('HSET', KEYS[1], 'last', string.format('%.0f', tick))
  last = tick
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {last, removed and 1 or 0, now}
`);

/** Keeps what processes share of their schedules in Redis, in the slot of the topic. */
export class RedisScheduleStore implements ScheduleStore {
  readonly #connections: Connections;
  readonly #prefix: string;

  constructor(connections: Connections, prefix: string) {
    this.#connections = connections;
    this.#prefix = prefix;
  }

  async exchange(topic: string, name: string, notice: ScheduleNotice): Promise<ScheduleRecord> {
    const keys = [topicKeys(this.#prefix, topic).schedule(name)];
    const args = [notice.kind, notice.tickMs, KEEP_MS];
    const connection = this.#connections.forTopic(topic);
    const reply = await connection.call((client) => runScript(client, exchangeScript, keys, args));
    const [lastTickMs, removed, serverMs] = Array.isArray(reply) ? reply : [];
    if (typeof lastTickMs !== 'number' || typeof serverMs !== 'number') {
      throw new BackendError('denied', 'Redis answered a schedule in an unknown shape');
    }
    return { lastTickMs, isRemoved: removed === 1, serverMs };
  }
}
