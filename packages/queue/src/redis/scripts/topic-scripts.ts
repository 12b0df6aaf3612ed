import { JOB_LAYOUT } from './batch-encoding.ts';
import { operationsLua } from './control-scripts.ts';
import { debounceLua } from './debounce-script.ts';
import { routingLua } from './routing-script.ts';
import { type LuaScript, MAX_STEP_BYTES, script } from './script.ts';

/** The most dead letters that one run of a script reads. */
const MAX_STEP_ENTRIES = 200;
/** A living consumer reads far more often. */
const DEAD_CONSUMER_MS = 600_000;

/**
 * Adds jobs to a topic's stream, each at most once.
 *
 * The high-water mark of an origin (KEYS[2]: epoch, sequence) is the highest job of that origin that was added. The
 * script raises it in the same atomic step, and skips jobs at or below it as resent. It is never lowered, and is also
 * raised to `floor`, below which the producer cannot send any job again. After "Exactly Once Delivery and
 * Transactional Messaging in Kafka" (KIP-98).
 *
 * The mark of the producer (KEYS[4]: owner, nonce) names the last owner of its journal. Jobs of releases without
 * nonces have one key for both.
 *
 *   KEYS  1 stream   2 mark of the origin   3 delayed   4 mark of the producer
 *         5.. one per job whose caller chose the id, or that is merged by a key
 *   ARGV  1 owner epoch   2 origin epoch   3 floor   4 previous   5 TTL of the marks in ms or 0   6 TTL of ids in ms
 *         7 `maxJobs` of the topic or 0   8 partitions or 0; -1 when no job has a routing
 *         9 the jobs, encoded by `encodeBatch`   10 nonce of the owner, or ''
 *         11 the windows of jobs that are merged, encoded by `encodeWindows`, or ''
 *   Returns { sequence of the mark before, jobs skipped as resent, jobs refused, poison, outcomes, ids skipped as known
 *   ... },
 *   or { sequence of the mark before, -1 } without any write when the mark is below `previous`.
 *   The poison is { sequence, reason } of a job that cannot be added although the topic works, at which the script
 *   stops, or {}. The mark stays below it, so that it is found again when the reply is lost.
 *   The outcomes are { sequence, outcome ... } of the operations. At one on a job that is not where it was found, the
 *   script stops as well.
 *   Fails with FENCED when a later owner of the producer's journal has published, or one of the same epoch with
 *   another nonce; with LAYOUT when the number of partitions differs while jobs with keys exist; and, before any
 *   write, when the stream or a mark has another type.
 */
export const publishScript: LuaScript = script(`
${routingLua}
${operationsLua}
${debounceLua}
local owned = redis.call('HMGET', KEYS[4], 'owner', 'nonce')
local mark = redis.call('HMGET', KEYS[2], 'epoch', 'sequence')
local owner, nonce = tonumber(owned[1]) or 0, owned[2] or ''
local epoch, sequence = tonumber(mark[1]) or 0, tonumber(mark[2]) or 0
local myOwner, myEpoch, floor = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if myOwner < owner then
  return redis.error_reply('FENCED owner ' .. owner .. ' has taken over from owner ' .. myOwner)
end
if myOwner == owner and nonce ~= ARGV[10] then
  return redis.error_reply('FENCED another process has published as owner ' .. owner)
end
local passed = myEpoch < epoch
if myEpoch > epoch then sequence = 0 end
local remembered = sequence
if not passed and sequence < floor then sequence = floor end
if not passed and sequence < tonumber(ARGV[4]) then return {remembered, -1} end
local resent, refused, known, poison, added, outcomes = 0, 0, {}, {}, 0, {}
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
local now
local batch, at = ARGV[9], 1
while at <= #batch do
  local mine, delay, key, enqueued, id, payload
  mine, delay, key, enqueued, id, payload, at = struct.unpack('${JOB_LAYOUT}', batch, at)
  if passed or mine <= sequence then
    resent = resent + 1
  elseif most > 0 and (refused > 0 or room <= 0 and not string.find(enqueued, '!', 1, true)) then
    refused = refused + 1
  elseif string.find(enqueued, '!', 1, true) then
    local isApplied, outcome = pcall(applyOperation, KEYS[1], KEYS[3], string.match(enqueued, '!(.+)$'), payload, delay)
    if not isApplied then
      local reason = type(outcome) == 'table' and outcome.err or tostring(outcome)
      if added == 0 and string.find(reason, 'OOM') then return redis.error_reply(string.match(reason, 'OOM.*$')) end
      poison = {mine, reason}
      break
    end
    if not outcome then break end
    outcomes[#outcomes + 1] = mine
    outcomes[#outcomes + 1] = outcome
    sequence, added = mine, added + 1
  else
    local reply
    local isKnown, former
    local debounce = debounces[string.format('%.0f', mine)]
    if debounce then isKnown, former = windowOf(KEYS[key], debounce, enqueued)
    else isKnown = key > 0 and not redis.call('SET', KEYS[key], 1, 'NX', 'PX', ARGV[6]) end
    if isKnown then
      known[#known + 1] = id
    elseif delay < math.huge then
      mustNotify, isDue = true, true
      if not now then
        local time = redis.call('TIME')
        now = time[1] * 1000 + math.floor(time[2] / 1000)
      end
      -- An id has no control characters, so the first two line feeds are separators.
      reply = redis.pcall('ZADD', KEYS[3], math.floor(now + delay + 0.5), id .. '\\n' .. enqueued .. '\\n' .. payload)
    else
      local stream = streamOf(KEYS[1], enqueued)
      reply = redis.pcall('XADD', stream, '*', 'id', id, 'at', enqueued, 'payload', payload)
    end
    if type(reply) == 'table' and reply.err then
      local code = string.match(reply.err, '^%u+')
      if key > 0 and not debounce then redis.call('DEL', KEYS[key]) end
      -- Any other code concerns the server; it occurs before the first write only.
      if added == 0 and code ~= 'WRONGTYPE' and code ~= 'ERR' then return reply end
      poison = {mine, reply.err}
      break
    end
    if not isKnown and debounce then
      beginWindow(KEYS[key], debounce, enqueued, id .. '\\n' .. enqueued .. '\\n' .. payload)
      if former then room = room + redis.call('ZREM', KEYS[3], former) end
    end
    if not isKnown then room, added = room - 1, added + 1 end
    sequence = mine
  end
end
notify(KEYS[1])
if not passed then
  if myOwner ~= owner then redis.call('HSET', KEYS[4], 'owner', myOwner, 'nonce', ARGV[10]) end
  redis.call('HSET', KEYS[2], 'epoch', myEpoch, 'sequence', string.format('%.0f', sequence))
  for i = 2, KEYS[4] ~= KEYS[2] and 4 or 2, 2 do
    if ARGV[5] == '0' then redis.call('PERSIST', KEYS[i]) else redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
  end
end
return {remembered, resent, refused, poison, outcomes, unpack(known)}
`);

/**
 * Redrives dead letters: adds them as jobs again, with their ids and the reasons of their failures. Ends after some of
 * them; run it again from where it ended.
 *
 *   KEYS  1 stream   2 dead letters
 *   ARGV  1 limit   2 where to begin, '-' at first   3 the last entry to read, '' at first   4, 5 what the keys of
 *         outcomes and their marks begin with   6.. ids; none for all
 *   Returns { their number, where to begin next or '' at the end, the last entry to read }
 */
export const redriveScript: LuaScript = script(`
${routingLua}
local limit, from, last = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local wanted, redriven, read, bytes = {}, 0, 0, 0
for i = 6, #ARGV do wanted[ARGV[i]] = true end
if last == '' then
  -- A job that fails again meanwhile is behind this entry.
  local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  last = newest and newest[1] or '0-0'
end
while from ~= '' and redriven < limit and read < ${MAX_STEP_ENTRIES} and bytes < ${MAX_STEP_BYTES} do
  local entry = redis.call('XRANGE', KEYS[2], from, last, 'COUNT', 1)[1]
  if entry then
    local of = {}
    for i = 1, #entry[2], 2 do of[entry[2][i]] = entry[2][i + 1] end
    if #ARGV == 5 or wanted[of.id] then
      local history = cjson.decode(of.history or '[]')
      history[#history + 1] = of.reason
      -- Whoever redrives a job wants it to run, whatever its age.
      of.at = string.gsub(of.at, '~%d+', '')
      redis.call('XADD', streamOf(KEYS[1], of.at), '*', 'id', of.id, 'at', of.at, 'payload', of.payload, 'history', cjson.encode(history))
      redis.call('XDEL', KEYS[2], entry[1])
      -- Who may not use these keys has kept no outcomes.
      redis.pcall('DEL', ARGV[4] .. of.id, ARGV[5] .. of.id)
      redriven = redriven + 1
    end
    read, bytes = read + 1, bytes + #of.payload
  end
  from = entry and '(' .. entry[1] or ''
end
notify(KEYS[1])
return {redriven, from, last}
`);

/**
 * Removes the streams of a topic that has neither jobs nor living consumers. Whoever uses the topic next creates them.
 *
 *   KEYS  1 stream   2 delayed   ARGV  1 group   Returns 1 when they were removed.
 */
export const forgetScript: LuaScript = script(`
${routingLua}
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if redis.call('HEXISTS', KEYS[1] .. ':layout', 'paused') == 1 then return 0 end
local streams = subqueuesOf(KEYS[1])
streams[#streams + 1] = KEYS[1]
for _, stream in ipairs(streams) do
  if redis.call('XLEN', stream) > 0 then return 0 end
end
streams[#streams + 1] = KEYS[1] .. ':notify'
for _, stream in ipairs(streams) do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, ARGV[1])
  for _, info in ipairs(consumers.err and {} or consumers) do
    local of = {}
    for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
    if of.idle < ${DEAD_CONSUMER_MS} then return 0 end
  end
end
return redis.call('DEL', KEYS[1] .. ':layout', KEYS[1] .. ':leases', unpack(streams)) > 0 and 1 or 0
`);
