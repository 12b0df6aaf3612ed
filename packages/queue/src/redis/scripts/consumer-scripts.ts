import { cancelledLua } from './cancelled-script.ts';
import { keepOutcomeLua } from './outcome-scripts.ts';
import { type LuaScript, script } from './script.ts';

/**
 * Removes handled jobs that still belong to the consumer. Lists its pending entries once, from the first handle to
 * the last, because jobs are handled nearly in order; only a handle outside this range is looked up individually.
 *
 *   KEYS  1 stream   ARGV  1 group   2 consumer   3.. handles   Returns the number of removed jobs.
 */
export const acknowledgeScript: LuaScript = script(`
local key, group, me, last = KEYS[1], ARGV[1], ARGV[2], #ARGV
if last < 3 then return 0 end
local mine = {}
for _, entry in ipairs(redis.call('XPENDING', key, group, ARGV[3], ARGV[last], last, me)) do
  mine[entry[1]] = true
end
local removed, chosen = 0, {}
for i = 3, last do
  if mine[ARGV[i]] or redis.call('XPENDING', key, group, ARGV[i], ARGV[i], 1, me)[1] then
    chosen[#chosen + 1] = ARGV[i]
  end
  -- Lua's unpack supports a limited number of arguments.
  if #chosen == 500 or (i == last and #chosen > 0) then
    redis.call('XACK', key, group, unpack(chosen))
    redis.pcall('ZREM', key .. ':cancelled', unpack(chosen))
    redis.pcall('HDEL', key .. ':kept', unpack(chosen))
    removed = removed + redis.call('XDEL', key, unpack(chosen))
    chosen = {}
  end
end
return removed
`);

/**
 * Moves a job to the topic's dead letters, if it still belongs to the consumer, and keeps its outcome.
 *
 *   KEYS  1 stream   2 dead letters   3 outcome   4 mark   5 news
 *   ARGV  1 group   2 consumer   3 handle   4 most dead letters kept, the newest   5 TTL of its outcome in ms, 0 to keep
 *         none   6 outcome   7.. fields of the dead letter, its id first
 */
export const deadLetterScript: LuaScript = script(`
${keepOutcomeLua}
${cancelledLua}
local entry = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not entry or entry[2] ~= ARGV[2] or dropCancelled(KEYS[1], ARGV[1], ARGV[3]) then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[4], '*', unpack(ARGV, 7))
if ARGV[5] ~= '0' then keepOutcome(KEYS[3], KEYS[4], KEYS[5], ARGV[8], ARGV[5], ARGV[6]) end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return redis.call('XDEL', KEYS[1], ARGV[3])
`);
