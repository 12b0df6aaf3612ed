import { JOB_LAYOUT } from './batch-encoding.ts';
import { routingLua } from './routing-script.ts';
import { type Script, script } from './script.ts';

/**
 * Adds jobs to a topic's stream, each at most once.
 *
 * The mark of a producer (KEYS[2]: owner, epoch, sequence) is the highest job of that producer the stream
 * has taken, and is raised in the same atomic step as the jobs are added; what is at or below it is a
 * resend and skipped. It is only ever raised, also towards `floor`: what the producer has settled and
 * cannot send again. After "Exactly Once Delivery and Transactional Messaging in Kafka" (KIP-98).
 *
 *   KEYS  1 stream   2 mark   3 delayed   4.. one per job with an id of the caller's own
 *   ARGV  1 owner epoch   2 origin epoch   3 floor   4 previous   5 mark's life in ms   6 ids' life in ms
 *         7 most jobs the topic may hold or 0   8 partitions or 0; -1 where no job has a routing
 *         9 the jobs, as `encodeBatch` puts them together
 *   Returns { sequence remembered before, jobs skipped as resent, jobs refused, poison, ids skipped as known ... },
 *   or { sequence remembered before, -1 } and has done nothing when `previous` is not known here.
 *   The poison is { sequence, reason } of a job that cannot be added although the topic is in order, where it
 *   ends, or {}. Not raising the mark to it has it found again when the reply is lost.
 *   Fails with FENCED when a later owner of the producer's journal has been here, and before anything is
 *   written where the stream or the mark are no such things; with LAYOUT where the number of partitions is
 *   another while jobs with keys are there.
 */
export const publishScript: Script = script(`
${routingLua}
local mark = redis.call('HMGET', KEYS[2], 'owner', 'epoch', 'sequence')
local owner, epoch, sequence = tonumber(mark[1]) or 0, tonumber(mark[2]) or 0, tonumber(mark[3]) or 0
local myOwner, myEpoch, floor = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if myOwner < owner then
  return redis.error_reply('FENCED owner ' .. owner .. ' has taken over from owner ' .. myOwner)
end
local passed = myEpoch < epoch
if myEpoch > epoch then sequence = 0 end
local remembered = sequence
if not passed and sequence < floor then sequence = floor end
if not passed and sequence < tonumber(ARGV[4]) then return {remembered, -1} end
local resent, refused, known, poison, added = 0, 0, {}, {}, 0
local most, room = tonumber(ARGV[7]), redis.call('XLEN', KEYS[1])
if most > 0 then
  room = most - room - redis.call('ZCARD', KEYS[3])
  for _, stream in ipairs(subqueuesOf(KEYS[1])) do room = room - redis.call('XLEN', stream) end
end
local parts = tonumber(ARGV[8])
-- Looked up before anything is written: it may be no such thing.
if parts >= 0 and partitionsOf(KEYS[1]) ~= parts and parts > 0 then
  for i = 0, partitions - 1 do
    if redis.call('XLEN', KEYS[1] .. ':' .. i) > 0 then
      return redis.error_reply('LAYOUT the topic has ' .. partitions .. ' partitions with jobs in them, not ' .. parts)
    end
  end
  redis.call('HSET', KEYS[1] .. ':layout', 'partitions', parts)
  partitions = parts
end
local batch, at = ARGV[9], 1
while at <= #batch do
  local mine, due, key, enqueued, id, payload
  mine, due, key, enqueued, id, payload, at = struct.unpack('${JOB_LAYOUT}', batch, at)
  if passed or mine <= sequence then
    resent = resent + 1
  elseif most > 0 and room <= 0 then
    refused = refused + 1
  else
    local reply
    if key > 0 and not redis.call('SET', KEYS[key], 1, 'NX', 'PX', ARGV[6]) then
      known[#known + 1] = id
    elseif due > 0 then
      -- An id has no control characters, so the first two line ends are ours.
      reply = redis.pcall('ZADD', KEYS[3], due, id .. '\\n' .. enqueued .. '\\n' .. payload)
    else
      local stream = streamOf(KEYS[1], enqueued)
      reply = redis.pcall('XADD', stream, '*', 'id', id, 'at', enqueued, 'payload', payload)
    end
    if type(reply) == 'table' and reply.err then
      local code = string.match(reply.err, '^%u+')
      if key > 0 then redis.call('DEL', KEYS[key]) end
      -- Any other code says how the server is, and it is said before the first write.
      if added == 0 and code ~= 'WRONGTYPE' and code ~= 'ERR' then return reply end
      poison = {mine, reply.err}
      break
    end
    room = room - 1
    added = added + 1
    sequence = mine
  end
end
notify(KEYS[1])
if not passed then
  redis.call('HSET', KEYS[2], 'owner', myOwner, 'epoch', myEpoch, 'sequence', string.format('%.0f', sequence))
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return {remembered, resent, refused, poison, unpack(known)}
`);

/**
 * Hands delayed jobs to the stream once they are due by the server's own clock, the earliest first.
 *
 *   KEYS  1 stream   2 delayed
 *   Returns { in how many ms the next one is due, or -1 when there is none; partitions; whether there are levels }
 */
export const promoteScript: Script = script(`
${routingLua}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 500)) do
  local id, at, payload = string.match(member, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
  redis.call('XADD', streamOf(KEYS[1], at), '*', 'id', id, 'at', at, 'payload', payload)
  redis.call('ZREM', KEYS[2], member)
end
local next = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
notify(KEYS[1])
local layout = redis.call('HMGET', KEYS[1] .. ':layout', 'partitions', 'levels')
return {next and math.max(0, math.ceil(next - now)) or -1, tonumber(layout[1]) or 0, tonumber(layout[2]) or 0}
`);

/**
 * Renews a consumer's leases and takes over what nobody alive works on.
 *
 *   KEYS  1 stream   ARGV  1 group   2 consumer   3 lease in ms   4 most to take over   5.. handles held
 *   Returns { handles another consumer has now } and { handle, deliveries, fields } of each job taken over.
 */
export const recoverScript: Script = script(`
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
    -- Its first delivery was cut off: handing it out again is the same delivery, not a further one.
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
  -- Consumers that hold nothing and have not been seen for long are dead; what they held was taken over.
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
  -- What is nobody's any more is not lost to anybody: it was acknowledged, or forgotten with its delivery.
  -- And what is this consumer's own may stand behind more of its entries than were looked at above.
  local entry = not mine[ARGV[i]] and redis.call('XPENDING', key, group, ARGV[i], ARGV[i], 1)[1]
  if entry and entry[2] ~= me then lost[#lost + 1] = ARGV[i] end
end
return {lost, taken}
`);

/**
 * Removes handled jobs that still belong to the consumer. Its pending entries are listed once from the first
 * handle to the last, which are handled nearly in order; only one that lies outside is looked up by itself.
 *
 *   KEYS  1 stream   ARGV  1 group   2 consumer   3.. handles   Returns how many were removed.
 */
export const acknowledgeScript: Script = script(`
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
  -- As many as Lua can hand over as arguments, with room to spare.
  if #chosen == 500 or (i == last and #chosen > 0) then
    redis.call('XACK', key, group, unpack(chosen))
    removed = removed + redis.call('XDEL', key, unpack(chosen))
    chosen = {}
  end
end
return removed
`);

/**
 * Moves a job that failed for good to the topic's dead letters, if it still belongs to the consumer.
 *
 *   KEYS  1 stream   2 dead letters
 *   ARGV  1 group   2 consumer   3 handle   4 most dead letters, the newest   5.. fields of the dead letter
 */
export const deadLetterScript: Script = script(`
local entry = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not entry or entry[2] ~= ARGV[2] then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[4], '*', unpack(ARGV, 5))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return redis.call('XDEL', KEYS[1], ARGV[3])
`);

/**
 * Makes dead letters jobs again, with their ids and the reasons of their failures.
 *
 *   KEYS  1 stream   2 dead letters   ARGV  1 most   2.. ids; none for all   Returns how many it were.
 */
export const redriveScript: Script = script(`
${routingLua}
local wanted, redriven = {}, 0
for i = 2, #ARGV do wanted[ARGV[i]] = true end
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
  local of = {}
  for i = 1, #entry[2], 2 do of[entry[2][i]] = entry[2][i + 1] end
  if redriven < tonumber(ARGV[1]) and (#ARGV == 1 or wanted[of.id]) then
    local history = cjson.decode(of.history or '[]')
    history[#history + 1] = of.reason
    redis.call('XADD', streamOf(KEYS[1], of.at), '*', 'id', of.id, 'at', of.at, 'payload', of.payload, 'history', cjson.encode(history))
    redis.call('XDEL', KEYS[2], entry[1])
    redriven = redriven + 1
  end
end
notify(KEYS[1])
return redriven
`);

/**
 * Takes a consumer that holds nothing any more off the group's list.
 *
 *   KEYS  1 stream   ARGV  1 group   2 consumer
 */
export const leaveScript: Script = script(`
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
`);
