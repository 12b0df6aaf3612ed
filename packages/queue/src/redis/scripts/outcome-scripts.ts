import { REMEMBERED_FACTOR } from '../../outcomes/outcome-store.ts';
import { type LuaScript, script } from './script.ts';

/** The most news of a topic that are kept for those who watch it; whoever misses some asks again soon. */
const MAX_NEWS = 1_000;
/** News of a topic whose jobs have no outcomes any more. */
const NEWS_TTL_MS = 600_000;

/**
 * Lua that keeps how a job ended. Runs behind the command that ends it, after which a full server refuses nothing, and
 * never fails: the job has ended. An outcome that begins with '?' tells nothing, and replaces none.
 */
export const keepOutcomeLua: string = `
local function tellOf(news, id)
  redis.pcall('XADD', news, 'MAXLEN', '~', ${MAX_NEWS}, '*', 'id', id)
  redis.pcall('PEXPIRE', news, ${NEWS_TTL_MS})
end
local function keepOutcome(result, settled, news, id, ttl, outcome)
  if string.sub(outcome, 1, 1) == '?' then redis.pcall('SET', result, outcome, 'PX', ttl, 'NX')
  else redis.pcall('SET', result, outcome, 'PX', ttl) end
  redis.pcall('SET', settled, '', 'PX', ${REMEMBERED_FACTOR} * ttl)
  tellOf(news, id)
end
`;

/**
 * Removes handled jobs that still belong to the consumer, and keeps their outcomes.
 *
 *   KEYS  1 stream   2 news   3.. outcome and mark of each job
 *   ARGV  1 group   2 consumer   3.. handle, id, TTL in ms and outcome of each job
 *   Returns the number of removed jobs.
 */
export const acknowledgeWithOutcomesScript: LuaScript = script(`
${keepOutcomeLua}
local key, group, me, removed = KEYS[1], ARGV[1], ARGV[2], 0
for i = 3, #ARGV, 4 do
  local at = 3 + (i - 3) / 2
  if redis.call('XPENDING', key, group, ARGV[i], ARGV[i], 1, me)[1] then
    redis.call('XACK', key, group, ARGV[i])
    redis.pcall('ZREM', key .. ':cancelled', ARGV[i])
    redis.pcall('HDEL', key .. ':kept', ARGV[i])
    removed = removed + redis.call('XDEL', key, ARGV[i])
    keepOutcome(KEYS[at], KEYS[at + 1], KEYS[2], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  end
end
return removed
`);

/**
 * Replaces the progress of a job.
 *
 *   KEYS  1 progress   2 news   ARGV  1 id   2 TTL in ms   3 progress
 */
export const reportProgressScript: LuaScript = script(`
${keepOutcomeLua}
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
tellOf(KEYS[2], ARGV[1])
return 1
`);
