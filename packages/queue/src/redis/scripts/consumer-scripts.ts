import { type LuaScript, script } from './script.ts';

/**
 * Renews a consumer's leases and takes over orphaned jobs: jobs that never reached it, and those of dead consumers.
 *
 *   KEYS  1 stream   ARGV  1 group   2 consumer   3 lease in ms   4 most to take over   5.. handles held
 *   Returns { handles whose leases went to another consumer } and { handle, deliveries, fields } of each job taken over.
 */
export const recoverScript: LuaScript = script(`
local key, group, me = KEYS[1], ARGV[1], ARGV[2]
local room = tonumber(ARGV[4])
local held = {}
for i = 5, #ARGV do held[ARGV[i]] = true end
local mine, taken = {}, {}
for _, entry in ipairs(redis.call('XPENDING', key, group, '-', '+', #ARGV + room, me)) do
  local handle = entry[1]
  mine[handle] = true
  if held[handle] then
    redis.call('XCLAIM', key, group, me, 0, handle, 'JUSTID')
  elseif room > 0 then
    -- The reply with this delivery was lost: repeating it must not increase the delivery count.
    local claimed = redis.call('XCLAIM', key, group, me, 0, handle, 'RETRYCOUNT', entry[4])
    if claimed[1] and claimed[1][2] then
      taken[#taken + 1] = {handle, entry[4], claimed[1][2]}
      room = room - 1
    end
  end
end
if room > 0 then
  for _, entry in ipairs(redis.call('XAUTOCLAIM', key, group, me, ARGV[3], '0', 'COUNT', room)[2]) do
    if not mine[entry[1]] then
      local seen = redis.call('XPENDING', key, group, entry[1], entry[1], 1)
      taken[#taken + 1] = {entry[1], seen[1] and seen[1][4] or 1, entry[2]}
    end
  end
end
if room > 0 then
  -- A consumer that holds no job and has been idle for long is dead; its jobs were taken over.
  for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
    local of = {}
    for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
    if of.name ~= me and of.pending == 0 and of.idle > 10 * tonumber(ARGV[3]) then
      redis.call('XGROUP', 'DELCONSUMER', key, group, of.name)
    end
  end
end
local lost = {}
for i = 5, #ARGV do
  -- A job without an owner is not lost to another consumer: it was acknowledged, or Redis has lost it.
  -- A job of this consumer may be behind more entries than were listed above.
  local entry = not mine[ARGV[i]] and redis.call('XPENDING', key, group, ARGV[i], ARGV[i], 1)[1]
  if entry and entry[2] ~= me then lost[#lost + 1] = ARGV[i] end
end
return {lost, taken}
`);

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
    removed = removed + redis.call('XDEL', key, unpack(chosen))
    chosen = {}
  end
end
return removed
`);

/**
 * Moves a job to the topic's dead letters, if it still belongs to the consumer.
 *
 *   KEYS  1 stream   2 dead letters
 *   ARGV  1 group   2 consumer   3 handle   4 most dead letters kept, the newest   5.. fields of the dead letter
 */
export const deadLetterScript: LuaScript = script(`
local entry = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not entry or entry[2] ~= ARGV[2] then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[4], '*', unpack(ARGV, 5))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return redis.call('XDEL', KEYS[1], ARGV[3])
`);

/**
 * Removes a consumer that holds no job from the group.
 *
 *   KEYS  1 stream   ARGV  1 group   2 consumer
 */
export const removeConsumerScript: LuaScript = script(`
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
`);
