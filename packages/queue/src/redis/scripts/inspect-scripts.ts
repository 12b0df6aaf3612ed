import { routingLua } from './routing-script.ts';
import { type LuaScript, script } from './script.ts';

/**
 * Counts the jobs of a topic by their state.
 *
 *   KEYS  1 stream   2 delayed   3 dead letters   ARGV  1 group
 *   Returns { waiting, pending, delayed, dead }
 */
export const countScript: LuaScript = script(`
${routingLua}
local held, pending = 0, 0
local streams = subqueuesOf(KEYS[1])
streams[#streams + 1] = KEYS[1]
for _, stream in ipairs(streams) do
  held = held + redis.call('XLEN', stream)
  local summary = redis.pcall('XPENDING', stream, ARGV[1])
  -- Without a group, no job has been delivered yet.
  if not summary.err then pending = pending + summary[1] end
end
return {math.max(0, held - pending), pending, redis.call('ZCARD', KEYS[2]), redis.call('XLEN', KEYS[3])}
`);

/**
 * Lists the oldest jobs of one kind, at most the limit from each of the topic's streams.
 *
 *   KEYS  1 stream   ARGV  1 group   2 'waiting' or 'pending'   3 limit
 *   Returns { deliveries, fields } of each
 */
export const peekScript: LuaScript = script(`
${routingLua}
local streams = subqueuesOf(KEYS[1])
table.insert(streams, 1, KEYS[1])
local found = {}
for _, stream in ipairs(streams) do
  if ARGV[2] == 'pending' then
    local pending = redis.pcall('XPENDING', stream, ARGV[1], '-', '+', ARGV[3])
    for _, entry in ipairs(pending.err and {} or pending) do
      local job = redis.call('XRANGE', stream, entry[1], entry[1])[1]
      if job then found[#found + 1] = {entry[4], job[2]} end
    end
  else
    local from = '-'
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    for _, info in ipairs(groups.err and {} or groups) do
      local of = {}
      for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
      if of.name == ARGV[1] then from = '(' .. of['last-delivered-id'] end
    end
    for _, job in ipairs(redis.call('XRANGE', stream, from, '+', 'COUNT', ARGV[3])) do
      found[#found + 1] = {0, job[2]}
    end
  end
end
return found
`);
