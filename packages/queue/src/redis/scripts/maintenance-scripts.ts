import { RELEASED, cancelledLua } from './cancelled-script.ts';
import { delayedLua } from './delayed-script.ts';
import { routingLua } from './routing-script.ts';
import { type LuaScript, MAX_STEP_BYTES, script } from './script.ts';

/** How long the number of deliveries is remembered after which a consumer kept a failed job of a partition. */
const KEPT_TTL_MS = 7 * 86_400_000;

/**
 * Lua shared by the scripts that look after a topic. A job that failed before has the field `attempts`: how often it
 * was delivered as an earlier entry.
 */
const maintenanceLua = `
${routingLua}
${cancelledLua}
${delayedLua}
local taken, isPartial = {}, 0
local function fieldsOf(entry)
  local of = {}
  for i = 1, #entry[2], 2 do of[entry[2][i]] = entry[2][i + 1] end
  return of
end
local function subqueueNames(base)
  local names = {''}
  for _, stream in ipairs(subqueuesOf(base)) do names[#names + 1] = string.sub(stream, #base + 2) end
  return names
end
local function streamNamed(base, subqueue)
  return subqueue == '' and base or base .. ':' .. subqueue
end
local function handleOf(subqueue, id)
  return subqueue == '' and id or subqueue .. '/' .. id
end
-- Moves due jobs to their streams, the earliest first; returns ms until the next one is due, or -1.
local function promote(base, delayed)
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
  if not first then return -1 end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if tonumber(first) > now then return math.ceil(first - now) end
  local moved, size = 0, 0
  -- One by one, because the payloads of many would stop the server.
  while moved < 500 and size < ${MAX_STEP_BYTES} do
    local member = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 1)[1]
    if not member then break end
    moved, size = moved + 1, size + #member
    local fields = fieldsOfMember(member)
    local reply = redis.pcall('XADD', streamOf(base, fields[4]), '*', unpack(fields))
    if type(reply) == 'table' and reply.err then
      -- A full server must not keep consumers from handling what would make room.
      if string.find(reply.err, 'OOM') then return 1000 end
      error(reply)
    end
    redis.call('ZREM', delayed, member)
  end
  local next = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
  notify(base)
  return next and math.max(0, math.ceil(next - now)) or -1
end
local room, bytes
local function take(subqueue, id, count, fields, crashes)
  if not fields then return end
  taken[#taken + 1] = {handleOf(subqueue, id), count, fields, crashes or 0}
  room = room - 1
  for _, field in ipairs(fields) do bytes = bytes - #field end
end
local function isFull()
  if room > 0 and bytes <= 0 then isPartial = 1 end
  return room <= 0 or bytes <= 0
end
-- Takes jobs that were handed back.
local function takeReleased(stream, subqueue, group, me)
  if isFull() then return end
  for _, entry in ipairs(redis.call('XPENDING', stream, group, '-', '+', room, '${RELEASED}')) do
    if isFull() then return end
    local claimed = redis.call('XCLAIM', stream, group, me, 0, entry[1])[1]
    take(subqueue, entry[1], entry[4] + 1, claimed and claimed[2])
  end
end
-- Hands a pending job back. The count of the group excludes the attempts as earlier entries.
local function release(stream, group, entry, attempts)
  if dropCancelled(stream, group, entry[1]) then return end
  if attempts then
    local job = redis.call('XRANGE', stream, entry[1], entry[1])[1]
    attempts = attempts - (tonumber(job and fieldsOf(job).attempts) or 0)
  end
  local count = math.max(0, attempts or entry[4] - 1)
  redis.call('XCLAIM', stream, group, '${RELEASED}', 0, entry[1], 'RETRYCOUNT', count, 'JUSTID')
  mustNotify, isDue = true, true
end
local function isPaused(base)
  return redis.call('HEXISTS', base .. ':layout', 'paused') == 1
end
local function layoutOf(base)
  local layout = redis.call('HMGET', base .. ':layout', 'partitions', 'levels')
  return tonumber(layout[1]) or 0, tonumber(layout[2]) or 0
end
`;

/**
 * Moves due jobs to their streams, by the server's clock, and takes jobs that were handed back.
 *
 *   KEYS  1 stream   2 delayed
 *   ARGV  1 group   2 consumer   3 most to take   4 bytes to take at most, about
 *   Returns { ms until the next job is due, or -1; partitions; 1 when there are levels;
 *   { handle, deliveries, fields } of each job taken; 1 when there are more }
 */
export const maintainScript: LuaScript = script(`
${maintenanceLua}
local base, group, me = KEYS[1], ARGV[1], ARGV[2]
room, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local dueInMs = promote(base, KEYS[2])
if isPaused(base) then room = 0 end
if room > 0 then
  for _, subqueue in ipairs(subqueueNames(base)) do
    local stream = streamNamed(base, subqueue)
    local pending = redis.pcall('XPENDING', stream, group)
    if not pending.err and pending[1] > 0 then takeReleased(stream, subqueue, group, me) end
  end
  local asked = redis.pcall('XPENDING', base .. ':notify', group, '-', '+', 100)
  for _, entry in ipairs(asked.err and {} or asked) do redis.call('XACK', base .. ':notify', group, entry[1]) end
end
local partitions, levels = layoutOf(base)
return {dueInMs, partitions, levels, taken, isPartial}
`);

/**
 * Renews a consumer's leases and takes over orphaned jobs: jobs that never reached it, those handed back, and those of
 * dead consumers. Of the jobs whose next delivery is their last one, it takes only some.
 *
 * Takes over nothing when it is executed late, as from the buffer of a link that was cut; and nothing until the topic
 * has been watched for one lease: until then, consumers may have been unable to renew theirs. The key `:watched:` of
 * each lease in use has the time since when the topic is watched, and expires unless a consumer with that lease calls
 * this script every half of it. A job belongs to its consumer for that consumer's lease: the hash `:leases` has the
 * time at which each lease was last renewed, and nothing is taken over before the longest of them.
 *
 *   KEYS  1 stream   2 delayed
 *   ARGV  1 group   2 consumer   3 most to take   4 bytes to take at most, about   5 lease in ms
 *         6 the time, of the server, until which it may take jobs over, or 0   7 the last delivery, or 0
 *         8 most jobs taken over for that   9 1 to remove dead consumers   10 1 when the last delivery is the number of
 *         crashes in succession after which there is none   11.. handles held
 *   Returns { as maintainScript, the handles whose leases went to another consumer, the time of the server in ms,
 *   the handles that have no job any more }.
 *   With 0 to take, it only renews leases.
 */
export const recoverScript: LuaScript = script(`
${maintenanceLua}
local base, group, me = KEYS[1], ARGV[1], ARGV[2]
room, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local lease, last, maxLast = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function watchedSince()
  local key, gap = base .. ':watched:' .. lease, math.ceil(lease / 2)
  local since = tonumber(redis.call('GET', key))
  if since and since <= now then
    redis.call('PEXPIRE', key, gap)
    return since
  end
  local reply = redis.pcall('SET', key, string.format('%.0f', now), 'PX', gap)
  if not reply.err then return now end
  -- A full server must not keep consumers from handling what would make room.
  if string.find(reply.err, 'OOM') then return 0 end
  error(reply)
end
local function longestLease()
  local key, longest = base .. ':leases', lease
  local renewed = redis.call('HGETALL', key)
  for i = 1, #renewed, 2 do
    local other, since = tonumber(renewed[i]), now - renewed[i + 1]
    -- A clock that was set back must not keep a lease.
    if since < 0 or since >= other then redis.call('HDEL', key, renewed[i])
    elseif other > longest then longest = other end
  end
  local reply = redis.pcall('HSET', key, ARGV[5], string.format('%.0f', now))
  if type(reply) == 'table' and reply.err and not string.find(reply.err, 'OOM') then error(reply) end
  redis.call('PEXPIRE', key, longest)
  return longest
end
local longest = longestLease()
local mayTakeOver = now - watchedSince() >= longest and now <= tonumber(ARGV[6])
local wanted, lost, gone, held = room, {}, {}, {}
if isPaused(base) then room = 0 end
for i = 11, #ARGV do
  local subqueue, id = string.match(ARGV[i], '^([^/]*)/(.+)$')
  subqueue, id = subqueue or '', id or ARGV[i]
  held[subqueue] = held[subqueue] or {}
  table.insert(held[subqueue], id)
end
local function takeExpired(stream, subqueue)
  -- Those left for their last delivery must not hide the others.
  for _, entry in ipairs(redis.call('XPENDING', stream, group, 'IDLE', longest, '-', '+', room + 50)) do
    if isFull() then return end
    local id = entry[1]
    local job = entry[2] ~= me and not dropCancelled(stream, group, id) and redis.call('XRANGE', stream, id, id)[1]
    if job then
      local of = fieldsOf(job)
      local deliveries = entry[4] + 1 + (tonumber(of.attempts) or 0)
      local kept = tonumber(redis.call('HGET', stream .. ':kept', id))
      -- Each delivery of an entry has ended with its consumer, but for those before a failure with which it was kept.
      local crashes = kept and entry[4] - kept + 1 or entry[4]
      local own = tonumber(string.match(of.at, '[ ;]attempts:(%d+)'))
      local isLast = last > 0 and deliveries == (own or last)
      if ARGV[10] == '1' then isLast = last > 0 and crashes + 1 == last end
      if not isLast or maxLast > 0 then
        if isLast then maxLast = maxLast - 1 end
        redis.call('XCLAIM', stream, group, me, 0, id)
        take(subqueue, id, entry[4] + 1, job[2], crashes)
      end
    elseif entry[2] ~= me then
      redis.call('XACK', stream, group, id)
    end
  end
end
local function recover(stream, subqueue, ids)
  local isHeld, mine = {}, {}
  for _, id in ipairs(ids) do isHeld[id] = true end
  for _, entry in ipairs(redis.call('XPENDING', stream, group, '-', '+', #ids + math.max(0, room) + 1, me)) do
    local id = entry[1]
    mine[id] = true
    if isHeld[id] then
      redis.call('XCLAIM', stream, group, me, 0, id, 'JUSTID')
    elseif not isFull() and not dropCancelled(stream, group, id) then
      -- The reply with this delivery was lost: repeating it must not increase the delivery count.
      local claimed = redis.call('XCLAIM', stream, group, me, 0, id, 'RETRYCOUNT', entry[4])[1]
      take(subqueue, id, entry[4], claimed and claimed[2])
    end
  end
  takeReleased(stream, subqueue, group, me)
  if mayTakeOver and not isFull() then takeExpired(stream, subqueue) end
  for _, id in ipairs(ids) do
    -- A job without an owner is not lost to another consumer: it was acknowledged, or Redis has lost it.
    -- A job of this consumer may be behind more entries than were listed above.
    local entry = not mine[id] and redis.call('XPENDING', stream, group, id, id, 1)[1]
    if entry and entry[2] == me then
      redis.call('XCLAIM', stream, group, me, 0, id, 'JUSTID')
    elseif entry then
      lost[#lost + 1] = handleOf(subqueue, id)
    elseif not mine[id] then
      gone[#gone + 1] = handleOf(subqueue, id)
    end
  end
end
local function removeDead(stream)
  -- A consumer that holds no job and has been idle for long is dead; its jobs were taken over.
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
  for _, info in ipairs(consumers.err and {} or consumers) do
    local of = {}
    for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
    if of.name ~= me and of.pending == 0 and of.idle > 10 * longest then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, of.name)
    end
  end
end
local dueInMs = wanted > 0 and promote(base, KEYS[2]) or -1
local names = wanted > 0 and subqueueNames(base) or {}
local isListed = {}
for _, subqueue in ipairs(names) do isListed[subqueue] = true end
for subqueue in pairs(held) do
  if not isListed[subqueue] then names[#names + 1] = subqueue end
end
for _, subqueue in ipairs(names) do
  local stream = streamNamed(base, subqueue)
  local pending = redis.pcall('XPENDING', stream, group)
  if pending.err and (subqueue == '' or not string.find(pending.err, 'NOGROUP')) then return pending end
  -- Without a group, Redis has lost the jobs as well; their handlers may as well finish.
  if not pending.err and (pending[1] > 0 or held[subqueue]) then recover(stream, subqueue, held[subqueue] or {}) end
  if ARGV[9] == '1' and mayTakeOver then removeDead(stream) end
end
local partitions, levels = layoutOf(base)
return {dueInMs, partitions, levels, taken, isPartial, lost, now, gone}
`);

/**
 * Puts a failed job aside, if it still belongs to the consumer: makes it a delayed job, or, without a member, only
 * counts its attempts.
 *
 *   KEYS  1 stream   2 delayed
 *   ARGV  1 group   2 consumer   3 handle   4 attempts   5 delay in ms   6 member of the delayed job, or ''
 */
export const retryLaterScript: LuaScript = script(`
${maintenanceLua}
local key, group, me, id = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local entry = redis.call('XPENDING', key, group, id, id, 1)[1]
if not entry or entry[2] ~= me or dropCancelled(key, group, id) then return 0 end
if ARGV[6] == '' then
  local job = redis.call('XRANGE', key, id, id)[1]
  local count = ARGV[4] - (tonumber(job and fieldsOf(job).attempts) or 0)
  count = math.max(1, count)
  redis.call('XCLAIM', key, group, me, 0, id, 'RETRYCOUNT', count, 'JUSTID')
  redis.call('HSET', key .. ':kept', id, count)
  redis.call('PEXPIRE', key .. ':kept', ${KEPT_TTL_MS})
  return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now + ARGV[5], ARGV[6])
redis.call('XACK', key, group, id)
return redis.call('XDEL', key, id)
`);

/**
 * Hands back jobs that still belong to the consumer.
 *
 *   KEYS  1 stream   2 base stream   ARGV  1 group   2 consumer   3, 4.. handle and attempts made
 */
export const releaseScript: LuaScript = script(`
${maintenanceLua}
local key, group, me = KEYS[1], ARGV[1], ARGV[2]
for i = 3, #ARGV, 2 do
  local entry = redis.call('XPENDING', key, group, ARGV[i], ARGV[i], 1, me)[1]
  if entry then release(key, group, entry, tonumber(ARGV[i + 1])) end
end
notify(KEYS[2])
return 1
`);

/**
 * Hands back the jobs of a consumer that closes, but for those it holds; removes it from the group when none are left.
 *
 *   KEYS  1 stream   2 base stream   ARGV  1 group   2 consumer   3.. handles held
 */
export const removeConsumerScript: LuaScript = script(`
${maintenanceLua}
local key, group, me = KEYS[1], ARGV[1], ARGV[2]
local isHeld = {}
for i = 3, #ARGV do isHeld[ARGV[i]] = true end
for _, entry in ipairs(redis.call('XPENDING', key, group, '-', '+', 10000, me)) do
  if not isHeld[entry[1]] then release(key, group, entry) end
end
-- A partition that this consumer has freed waits for others.
if key ~= KEYS[2] then mustNotify, isDue = true, true end
notify(KEYS[2])
if #redis.call('XPENDING', key, group, '-', '+', 1, me) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', key, group, me)
`);
