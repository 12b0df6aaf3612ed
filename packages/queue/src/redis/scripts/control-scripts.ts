import { GROUP } from '../keys.ts';
import { RELEASED, cancelledLua } from './cancelled-script.ts';
import { delayedLua } from './delayed-script.ts';
import { routingLua } from './routing-script.ts';
import { type LuaScript, MAX_STEP_BYTES, script } from './script.ts';

/** The highest id of a stream: a group that has been delivered all jobs up to it gets none. */
const END = '18446744073709551615-18446744073709551615';
/** How long a cancelled job that a consumer holds is remembered: it cannot be held much longer. */
const CANCELLED_TTL_MS = 7 * 86_400_000;
/** The most cancelled jobs of one stream that consumers are told of. */
const MAX_CANCELLED = 1_000;
/** The most entries that one run of a script reads or removes. */
const MAX_STEP_ENTRIES = 500;
/** Entries are read by so many, because each may be large. */
const PAGE = 16;

/**
 * Lua that applies the operations. Uses what `routingLua` defines.
 *
 * A paused topic has its group's position in `<stream>:layout`, and the group itself is at the end of the stream: the
 * server delivers nothing, also to consumers that wait for jobs already, and what they hold is theirs as before. All
 * scripts that deliver jobs of the other streams look at the layout.
 */
export const operationsLua: string = `
${cancelledLua}
${delayedLua}
local function positionOf(stream)
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local of = {}
    for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
    if of.name == '${GROUP}' then return of['last-delivered-id'] end
  end
end
local function pause(base, delayed)
  local layout = base .. ':layout'
  if redis.call('HEXISTS', layout, 'paused') == 1 then return 'already-paused' end
  if redis.call('EXISTS', base, delayed, base .. ':notify') == 0 then return 'unknown-topic' end
  createWithGroup(base)
  local position = positionOf(base)
  if not position then
    redis.call('XGROUP', 'CREATE', base, '${GROUP}', '0', 'MKSTREAM')
    position = '0-0'
  end
  redis.call('XGROUP', 'SETID', base, '${GROUP}', '${END}')
  redis.call('HSET', layout, 'paused', position)
  return 'paused'
end
local function resume(base)
  local position = redis.call('HGET', base .. ':layout', 'paused')
  if not position then return 'not-paused' end
  redis.call('XGROUP', 'SETID', base, '${GROUP}', position)
  redis.call('HDEL', base .. ':layout', 'paused')
  -- Only an entry that is added wakes consumers that wait; it is gone when they look.
  redis.call('XDEL', base, redis.call('XADD', base, '*', 'id', ''))
  mustNotify, isDue = true, true
  return 'resumed'
end
local function timeNow()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function operateOnDelayed(base, delayed, operation, member, delay)
  if operation == 'cancel' then
    redis.call('ZREM', delayed, member)
    return 'removed'
  end
  mustNotify, isDue = true, true
  if operation == 'reschedule' then
    redis.call('ZADD', delayed, math.floor(timeNow() + delay + 0.5), member)
    return 'rescheduled'
  end
  local fields = fieldsOfMember(member)
  redis.call('XADD', streamOf(base, fields[4]), '*', unpack(fields))
  redis.call('ZREM', delayed, member)
  return 'promoted'
end
local function operateOnEntry(delayed, operation, stream, entry, delay)
  local id = entry[1]
  local pending = redis.pcall('XPENDING', stream, '${GROUP}', id, id, 1)
  local held = not pending.err and pending[1]
  if held and held[2] ~= '${RELEASED}' then
    if operation ~= 'cancel' then return 'running' end
    redis.call('ZADD', stream .. ':cancelled', timeNow(), id)
    redis.call('PEXPIRE', stream .. ':cancelled', ${CANCELLED_TTL_MS})
    return 'aborting'
  end
  if operation == 'promote' then return 'waiting' end
  if operation == 'reschedule' then
    mustNotify, isDue = true, true
    redis.call('ZADD', delayed, math.floor(timeNow() + delay + 0.5), memberOfEntry(entry, held and held[4] or 0))
  end
  redis.call('XACK', stream, '${GROUP}', id)
  redis.call('XDEL', stream, id)
  return operation == 'cancel' and 'removed' or 'rescheduled'
end
-- The job was looked for before; nil when it is not where it was found.
local function operateOnJob(base, delayed, operation, payload, delay)
  local target = cjson.decode(payload)
  if type(target) ~= 'table' then return nil end
  if target.isAbsent then return 'not-found' end
  if target.member then
    if not redis.call('ZSCORE', delayed, target.member) then return nil end
    return operateOnDelayed(base, delayed, operation, target.member, delay)
  end
  local stream = target.subqueue == '' and base or base .. ':' .. target.subqueue
  local entry = redis.call('XRANGE', stream, target.entry, target.entry)[1]
  if not entry then return nil end
  return operateOnEntry(delayed, operation, stream, entry, delay)
end
local function applyOperation(base, delayed, operation, payload, delay)
  if operation == 'pause' then return pause(base, delayed) end
  if operation == 'resume' then return resume(base) end
  return operateOnJob(base, delayed, operation, payload, delay == math.huge and 0 or delay)
end
`;

/**
 * Looks for a job among those of the streams; ends after some of them, run it again from where it ended.
 *
 *   KEYS  1 stream   ARGV  1 id   2 number of the stream to begin with, 1 at first   3 the entry to begin behind, or ''
 *   Returns { number, entry to begin behind next; number 0 at the end } or { -1, entry, subqueue } of the job.
 */
export const findScript: LuaScript = script(`
${routingLua}
local wanted, number, after = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local streams = subqueuesOf(KEYS[1])
table.insert(streams, 1, KEYS[1])
local read, bytes = 0, 0
while number <= #streams and read < ${MAX_STEP_ENTRIES} and bytes < ${MAX_STEP_BYTES} do
  local page = redis.call('XRANGE', streams[number], after == '' and '-' or '(' .. after, '+', 'COUNT', ${PAGE})
  for _, entry in ipairs(page) do
    after = entry[1]
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'id' and entry[2][i + 1] == wanted then
        return {-1, after, string.sub(streams[number], #KEYS[1] + 2)}
      end
      bytes = bytes + #entry[2][i + 1]
    end
  end
  read = read + #page
  if #page < ${PAGE} then number, after = number + 1, '' end
end
return {number > #streams and 0 or number, after}
`);

/**
 * Removes jobs of one stream that no consumer holds; ends after some of them, run it again.
 *
 *   KEYS  1 stream   2 main stream   ARGV  1 the last entry to remove, '' at first
 *   Returns { their number, 1 when there may be more, the last entry to remove }
 */
export const removeWaitingScript: LuaScript = script(`
${cancelledLua}
local stream, last = KEYS[1], ARGV[1]
if last == '' then
  -- A job that is added meanwhile is behind this entry.
  local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  last = newest and newest[1] or '0-0'
end
local removed, bytes, ids = 0, 0, {}
local function removeAll()
  if #ids == 0 then return end
  redis.call('XACK', stream, '${GROUP}', unpack(ids))
  removed = removed + redis.call('XDEL', stream, unpack(ids))
  ids = {}
end
local function isFull()
  return removed + #ids >= ${MAX_STEP_ENTRIES} or bytes >= ${MAX_STEP_BYTES}
end
local groups = redis.pcall('XINFO', 'GROUPS', stream)
if groups.err then return {0, 0, last} end
local position = stream == KEYS[2] and redis.call('HGET', KEYS[2] .. ':layout', 'paused')
for _, info in ipairs(position and {} or groups) do
  local of = {}
  for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
  if of.name == '${GROUP}' then position = of['last-delivered-id'] end
end
local released = redis.pcall('XPENDING', stream, '${GROUP}', '-', last, ${MAX_STEP_ENTRIES}, '${RELEASED}')
for _, entry in ipairs(released.err and {} or released) do ids[#ids + 1] = entry[1] end
removeAll()
local from = position and '(' .. position or '-'
while not isFull() do
  local page = redis.call('XRANGE', stream, from, last, 'COUNT', ${PAGE})
  for _, entry in ipairs(page) do
    ids[#ids + 1] = entry[1]
    for _, field in ipairs(entry[2]) do bytes = bytes + #field end
  end
  if #page < ${PAGE} then
    removeAll()
    return {removed, 0, last}
  end
  from = '(' .. page[#page][1]
end
removeAll()
return {removed, 1, last}
`);

/**
 * Tells consumers what operations have done.
 *
 *   KEYS  1 main stream   2.. streams of the jobs they hold
 *   Returns { 1 when the topic is paused, { cancelled entries } of each of the others }
 */
export const controlScript: LuaScript = script(`
local reply = {redis.call('HEXISTS', KEYS[1] .. ':layout', 'paused')}
for i = 2, #KEYS do
  reply[i] = redis.call('ZREVRANGE', KEYS[i] .. ':cancelled', 0, ${MAX_CANCELLED - 1})
end
return reply
`);
