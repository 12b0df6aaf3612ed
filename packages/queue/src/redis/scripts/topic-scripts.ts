import { JOB_LAYOUT } from './batch-encoding.ts';
import { routingLua } from './routing-script.ts';
import { type LuaScript, script } from './script.ts';

/**
 * Adds jobs to a topic's stream, each at most once.
 *
 * The high-water mark of a producer (KEYS[2]: owner, epoch, sequence) is the highest job of that producer that was
 * added. The script raises it in the same atomic step, and skips jobs at or below it as resent. It is never lowered,
 * and is also raised to `floor`, below which the producer cannot send any job again. After "Exactly Once Delivery
 * and Transactional Messaging in Kafka" (KIP-98).
 *
 *   KEYS  1 stream   2 mark   3 delayed   4.. one per job whose caller chose the id
 *   ARGV  1 owner epoch   2 origin epoch   3 floor   4 previous   5 TTL of the mark in ms   6 TTL of ids in ms
 *         7 `maxJobs` of the topic or 0   8 partitions or 0; -1 when no job has a routing
 *         9 the jobs, encoded by `encodeBatch`
 *   Returns { sequence of the mark before, jobs skipped as resent, jobs refused, poison, ids skipped as known ... },
 *   or { sequence of the mark before, -1 } without any write when the mark is below `previous`.
 *   The poison is { sequence, reason } of a job that cannot be added although the topic works, at which the script
 *   stops, or {}. The mark stays below it, so that it is found again when the reply is lost.
 *   Fails with FENCED when a later owner of the producer's journal has published; with LAYOUT when the number of
 *   partitions differs while jobs with keys exist; and, before any write, when the stream or the mark has another
 *   type.
 */
export const publishScript: LuaScript = script(`
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
-- Read before the first write, because the key may have another type.
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
      -- An id has no control characters, so the first two line feeds are separators.
      reply = redis.pcall('ZADD', KEYS[3], due, id .. '\\n' .. enqueued .. '\\n' .. payload)
    else
      local stream = streamOf(KEYS[1], enqueued)
      reply = redis.pcall('XADD', stream, '*', 'id', id, 'at', enqueued, 'payload', payload)
    end
    if type(reply) == 'table' and reply.err then
      local code = string.match(reply.err, '^%u+')
      if key > 0 then redis.call('DEL', KEYS[key]) end
      -- Any other code concerns the server; it occurs before the first write only.
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
 * Moves delayed jobs to their streams once they are due by the server's clock, the earliest first.
 *
 *   KEYS  1 stream   2 delayed
 *   Returns { ms until the next job is due, or -1 when there is none; partitions; 1 when there are levels }
 */
export const promoteScript: LuaScript = script(`
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
 * Redrives dead letters: adds them as jobs again, with their ids and the reasons of their failures.
 *
 *   KEYS  1 stream   2 dead letters   ARGV  1 limit   2.. ids; none for all   Returns their number.
 */
export const redriveScript: LuaScript = script(`
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
