import { RELEASED } from './cancelled-script.ts';
import { routingLua } from './routing-script.ts';
import { type LuaScript, MAX_STEP_BYTES, script } from './script.ts';

/** The most entries that one run of a script reads. */
const MAX_STEP_ENTRIES = 500;

/**
 * Counts the jobs of a topic by their state.
 *
 *   KEYS  1 stream   2 delayed   3 dead letters   ARGV  1 group
 *   Returns { waiting, pending, delayed, dead, 1 when the topic is paused }
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
  -- Jobs that were handed back wait for a consumer.
  for _, of in ipairs(not summary.err and summary[4] or {}) do
    if of[1] == '${RELEASED}' then pending = pending - tonumber(of[2]) end
  end
end
return {math.max(0, held - pending), pending, redis.call('ZCARD', KEYS[2]), redis.call('XLEN', KEYS[3]),
  redis.call('HEXISTS', KEYS[1] .. ':layout', 'paused')}
`);

/**
 * Lists the oldest jobs of one kind. Ends after some of them; run it again from where it ended.
 *
 *   KEYS  1 stream
 *   ARGV  1 group   2 'waiting' or 'pending'   3 limit   4 number of the stream to begin with, 1 at first
 *         5 'released' for jobs that were handed back, else 'own'   6 the entry to begin behind, '' for the first
 *   Returns { number, part and entry to begin with next; number 0 at the end }, { deliveries, fields } of each
 */
export const peekScript: LuaScript = script(`
${routingLua}
local group, kind, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local number, part, after = tonumber(ARGV[4]), ARGV[5], ARGV[6]
local streams = subqueuesOf(KEYS[1])
table.insert(streams, 1, KEYS[1])
local found, bytes, read = {}, 0, 0
local function add(deliveries, fields)
  found[#found + 1] = {deliveries, fields}
  for _, field in ipairs(fields) do bytes = bytes + #field end
end
local function deliveredUntil(stream)
  local paused = stream == KEYS[1] and redis.call('HGET', KEYS[1] .. ':layout', 'paused')
  if paused then return paused end
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, info in ipairs(groups.err and {} or groups) do
    local of = {}
    for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
    if of.name == group then return of['last-delivered-id'] end
  end
  return ''
end
-- Reads the next entry behind the last one; returns whether there was one.
local function nextPending(stream)
  local from = after == '' and '-' or '(' .. after
  local listed
  if part == 'released' then listed = redis.pcall('XPENDING', stream, group, from, '+', 1, '${RELEASED}')
  else listed = redis.pcall('XPENDING', stream, group, from, '+', 1) end
  local entry = not listed.err and listed[1]
  if not entry then return false end
  after = entry[1]
  if (entry[2] == '${RELEASED}') ~= (kind == 'waiting') then return true end
  local job = redis.call('XRANGE', stream, after, after)[1]
  if job then add(entry[4], job[2]) end
  return true
end
local function nextWaiting(stream)
  if after == '' then after = deliveredUntil(stream) end
  local job = redis.call('XRANGE', stream, after == '' and '-' or '(' .. after, '+', 'COUNT', 1)[1]
  if not job then return false end
  after = job[1]
  add(0, job[2])
  return true
end
while number <= #streams and #found < limit and bytes < ${MAX_STEP_BYTES} and read < ${MAX_STEP_ENTRIES} do
  read = read + 1
  local stream = streams[number]
  local isWaiting = kind == 'waiting' and part == 'own'
  if not (isWaiting and nextWaiting(stream) or not isWaiting and nextPending(stream)) then
    after = ''
    if kind == 'waiting' and part == 'released' then part = 'own'
    else number, part = number + 1, kind == 'waiting' and 'released' or 'own' end
  end
end
if number > #streams then number = 0 end
return {{number, part, after}, unpack(found)}
`);
