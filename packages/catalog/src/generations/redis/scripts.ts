import { type RedisScript, redisScript } from '@holdfast/cache/redis-link';

/**
 * What is published, and the highest generation and token seen. A damaged value says nothing: the other one of the two
 * still stands.
 */
const READ = `
local function proven(key)
  local value = redis.call('GET', key)
  if not value then return nil end
  local rest = string.sub(value, 42)
  if redis.sha1hex(rest) ~= string.sub(value, 1, 40) then return nil end
  return rest
end
local function readCurrent(key)
  local rest = proven(key)
  if not rest then return {generation = 0, token = 0, chunks = 0, bytes = 0} end
  local generation, token, chunks, bytes, attempt =
    string.match(rest, '^%d+ (%d+) (%d+) (%d+) (%d+) (%S+)')
  return {generation = tonumber(generation), token = tonumber(token), chunks = tonumber(chunks),
    bytes = tonumber(bytes), attempt = attempt}
end
local function readSeen(key, current)
  local generation, token = string.match(proven(key) or '0 0', '^(%d+) (%d+)')
  return math.max(current.generation, tonumber(generation)), math.max(current.token, tonumber(token))
end
local function fenceOf(generation, token)
  local rest = string.format('%.0f %.0f', generation, token)
  return redis.sha1hex(rest) .. ' ' .. rest
end`;

/**
 * Begins an attempt: whoever has an older token publishes nothing from now on, and what was staged before is removed.
 * KEYS: current, fence, staged, start of the keys of chunks, all as the client prefixes them. ARGV: generation, token,
 * bytes expected.
 */
export const STAGE: RedisScript = redisScript(`${READ}
local current = readCurrent(KEYS[1])
local seenGeneration, seenToken = readSeen(KEYS[2], current)
local generation, token = tonumber(ARGV[1]), tonumber(ARGV[2])
if token < seenToken or generation <= seenGeneration then
  return {'fenced', seenGeneration, seenToken}
end
local staged = redis.call('HGETALL', KEYS[3])
for at = 1, #staged, 2 do
  if staged[at] ~= current.attempt then
    for index = 0, (tonumber(staged[at + 1]) or 0) - 1 do
      redis.call('UNLINK', KEYS[4] .. staged[at] .. ':c:' .. index)
    end
  end
end
redis.call('DEL', KEYS[3])
local info = redis.pcall('INFO', 'memory')
if type(info) == 'string' then
  local used = tonumber(string.match(info, 'used_memory:(%d+)') or 0)
  local limit = tonumber(string.match(info, 'maxmemory:(%d+)') or 0)
  local keeps = string.match(info, 'maxmemory_policy:(%a+)') == 'noeviction'
  local expected = math.max(current.bytes, tonumber(ARGV[3]))
  if limit > 0 and expected + (keeps and used or 0) > limit then
    return {'full', used, limit, expected}
  end
end
redis.call('SET', KEYS[2], fenceOf(seenGeneration, token))
return {'staged'}`);

/**
 * Publishes an attempt all of whose chunks are there, in their whole length. The one before expires.
 * KEYS: current, fence, staged, start of the keys of chunks. ARGV: generation, token, attempt, chunks, bytes, record,
 * ms to keep, ms to keep the one before.
 */
export const PUBLISH: RedisScript = redisScript(`${READ}
local current = readCurrent(KEYS[1])
local attempt = ARGV[3]
if current.attempt == attempt then return {'published'} end
local seenGeneration, seenToken = readSeen(KEYS[2], current)
local generation, token = tonumber(ARGV[1]), tonumber(ARGV[2])
if token < seenToken or generation <= seenGeneration then
  return {'fenced', seenGeneration, seenToken}
end
local bytes = 0
for index = 0, tonumber(ARGV[4]) - 1 do
  local length = redis.call('STRLEN', KEYS[4] .. attempt .. ':c:' .. index)
  if length == 0 then return {'missing', index} end
  bytes = bytes + length
end
if bytes ~= tonumber(ARGV[5]) then return {'damaged', bytes} end
redis.call('MSET', KEYS[1], ARGV[6], KEYS[2], fenceOf(generation, token))
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('HDEL', KEYS[3], attempt)
for index = 0, tonumber(ARGV[4]) - 1 do
  redis.call('PEXPIRE', KEYS[4] .. attempt .. ':c:' .. index, ARGV[7])
end
for index = 0, current.chunks - 1 do
  redis.call('PEXPIRE', KEYS[4] .. current.attempt .. ':c:' .. index, ARGV[8])
end
return {'published'}`);

/**
 * Removes an attempt, unless it was published: the answer to that may have been lost.
 * KEYS: current, staged, start of the keys of chunks. ARGV: attempt, chunks.
 */
export const DISCARD: RedisScript = redisScript(`${READ}
if readCurrent(KEYS[1]).attempt == ARGV[1] then return {'published'} end
redis.call('HDEL', KEYS[2], ARGV[1])
for index = 0, tonumber(ARGV[2]) - 1 do
  redis.call('UNLINK', KEYS[3] .. ARGV[1] .. ':c:' .. index)
end
return {'discarded'}`);

/**
 * Puts a damaged chunk aside, unless another has mended it meanwhile, or it was only damaged on its way.
 * KEYS: chunk, damaged chunk. ARGV: sha1 of what was read, ms to keep it.
 */
export const QUARANTINE: RedisScript = redisScript(`
local value = redis.call('GET', KEYS[1])
if not value or redis.sha1hex(value) ~= ARGV[1] then return {'changed'} end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {'quarantined'}`);

/**
 * Writes a rebuilt chunk where there is none, for as long as its generation is kept.
 * KEYS: current, chunk. ARGV: chunk, attempt, ms to keep it where it is not the published one.
 */
export const RESTORE: RedisScript = redisScript(`${READ}
local keptMs = tonumber(ARGV[3])
if readCurrent(KEYS[1]).attempt == ARGV[2] then
  keptMs = math.max(keptMs, redis.call('PTTL', KEYS[1]))
end
if redis.call('SET', KEYS[2], ARGV[1], 'PX', keptMs, 'NX') then return {'restored'} end
return {'changed'}`);
