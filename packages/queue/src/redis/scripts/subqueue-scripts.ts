import { routingLua } from './routing-script.ts';
import { type LuaScript, script } from './script.ts';

/**
 * Delivers jobs of a topic that has levels or partitions: from each level its share, then the rest by priority; and
 * from each partition the oldest job, if no job of it is pending.
 *
 *   KEYS  1 stream   2 delayed
 *   ARGV  1 group   2 consumer   3 most   4, 5, 6 shares of high, normal, low   7 the subqueue to begin with
 *   Returns { newest id of the notify stream, newest id of the main stream, ms until the next delayed job is due or -1,
 *   { subqueue, handle, fields } ... }
 */
export const takeFromSubqueuesScript: LuaScript = script(`
${routingLua}
local base, group, me, room = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local taken = {}
if redis.call('HEXISTS', base .. ':layout', 'paused') == 1 then room = 0 end
local function inGroup(stream, ...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    if not string.find(reply.err, 'NOGROUP') then error(reply) end
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    reply = redis.call(...)
  end
  return reply
end
local function take(subqueue, count)
  local stream = subqueue == '' and base or base .. ':' .. subqueue
  count = math.min(count, room)
  if count <= 0 or redis.call('XLEN', stream) == 0 then return end
  local reply = inGroup(stream, 'XREADGROUP', 'GROUP', group, me, 'COUNT', count, 'STREAMS', stream, '>')
  for _, entry in ipairs(reply and reply[1] and reply[1][2] or {}) do
    taken[#taken + 1] = {subqueue, entry[1], entry[2]}
    room = room - 1
  end
end
local function takeHead(subqueue)
  local stream = base .. ':' .. subqueue
  if room <= 0 or redis.call('XLEN', stream) == 0 then return end
  -- While a job is pending, even with a dead consumer, the next one has to wait.
  if inGroup(stream, 'XPENDING', stream, group)[1] == 0 then take(subqueue, 1) end
end
local levels = {'high', '', 'low'}
local function takeLevels()
  for i, level in ipairs(levels) do take(level, tonumber(ARGV[3 + i])) end
  for _, level in ipairs(levels) do take(level, room) end
end
local subqueues = partitionsOf(base) + 1
for i = 0, subqueues - 1 do
  local subqueue = (tonumber(ARGV[7]) + i) % subqueues
  if subqueue == 0 then takeLevels() else takeHead(string.format('%.0f', subqueue - 1)) end
end
local function newest(stream)
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  return last and last[1] or '0-0'
end
local due, dueInMs = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2], -1
if due then
  local time = redis.call('TIME')
  dueInMs = math.max(0, math.ceil(due - time[1] * 1000 - math.floor(time[2] / 1000)))
end
return {newest(base .. ':notify'), newest(base), dueInMs, unpack(taken)}
`);
