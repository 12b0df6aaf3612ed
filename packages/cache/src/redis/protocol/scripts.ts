import { type RedisScript, redisScript } from './redis-script.ts';

/** The version of a tag that nobody uses is forgotten after a month, and what was stored with it is invalid then. */
const TAG_MS = 2_592_000_000;

function scriptOf(source: string): RedisScript {
  return redisScript(source.replaceAll('TAG_MS', String(TAG_MS)));
}

const PUBLISH = `
local function publish(stream, limit, node, kind, name)
  return redis.call('XADD', stream, 'MAXLEN', '~', limit, '*', 'k', kind, 'n', node, 'v', name)
end`;

const NEWER = `
local function newer(left, right)
  local leftMs, leftSequence = string.match(left, '^(%d+)-(%d+)')
  local rightMs, rightSequence = string.match(right, '^(%d+)-(%d+)')
  if not leftMs or not rightMs then return false end
  leftMs = tonumber(leftMs) rightMs = tonumber(rightMs)
  if leftMs ~= rightMs then return leftMs > rightMs end
  return tonumber(leftSequence) > tonumber(rightSequence)
end`;

/**
 * Stores an entry and publishes that it is there. A loaded value is stored only if nothing was stored or invalidated
 * under its key and tags since its load began, and if no other process has the turn. It is kept from when it was made,
 * not from when the command is executed; one whose time is over is not stored, and what it was to replace is gone.
 * KEYS: stream, epoch, entry, lock, tags. ARGV: limit, node, kind, name, epoch, entry, ms to keep, started, turn, when
 * it was made by the clock of the stream or ''.
 */
export const STORE: RedisScript = scriptOf(`${PUBLISH}${NEWER}
if redis.call('GET', KEYS[2]) ~= ARGV[5] then return {'epoch'} end
local started = ARGV[8]
if started ~= '' then
  local turn = redis.call('GET', KEYS[4])
  if turn and turn ~= ARGV[9] then return {'turn'} end
  local old = redis.call('GET', KEYS[3])
  local isOld = old and newer(old, started)
  for at = 5, #KEYS do
    local version = redis.call('GET', KEYS[at])
    if version and newer(version, started) then isOld = true end
  end
  if isOld then
    if turn then redis.call('DEL', KEYS[4]) end
    publish(KEYS[1], ARGV[1], ARGV[2], 'release', ARGV[4])
    return {'newer'}
  end
end
local id = publish(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
if started ~= '' then redis.call('DEL', KEYS[4]) end
local leftMs = tonumber(ARGV[7])
if ARGV[10] ~= '' then
  leftMs = leftMs - math.max(0, tonumber(string.match(id, '^%d+')) - tonumber(ARGV[10]))
end
if leftMs < 1 then
  redis.call('SET', KEYS[3], id .. '\\n', 'PX', ARGV[7])
  return {'late', id}
end
local line = id
for at = 5, #KEYS do
  local version = redis.call('GET', KEYS[at])
  if not version then version = '0-0:' .. id end
  redis.call('SET', KEYS[at], version, 'PX', TAG_MS)
  line = line .. ' ' .. version
end
redis.call('SET', KEYS[3], line .. '\\n' .. ARGV[6], 'PX', leftMs)
return {'stored', id}`);

/**
 * Invalidates a key, and remembers when. KEYS: stream, entry. ARGV: limit, node, name, ms for which loads may run.
 */
export const DELETE_KEY: RedisScript = scriptOf(`${PUBLISH}
local id = publish(KEYS[1], ARGV[1], ARGV[2], 'delete', ARGV[3])
redis.call('SET', KEYS[2], id .. '\\n', 'PX', ARGV[4])
return {'stored', id}`);

/** Invalidates all entries with a tag, by a new version. KEYS: stream, tag. ARGV: limit, node, name. */
export const INVALIDATE_TAG: RedisScript = scriptOf(`${PUBLISH}
local id = publish(KEYS[1], ARGV[1], ARGV[2], 'tag', ARGV[3])
redis.call('SET', KEYS[2], id, 'PX', TAG_MS)
return {'stored', id}`);

/**
 * Invalidates everything, by a new epoch. KEYS: stream, epoch. ARGV: limit, node, new epoch, the epoch that it must
 * still be or ''.
 */
export const NEW_EPOCH: RedisScript = scriptOf(`${PUBLISH}
if ARGV[4] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[4] then return {'changed'} end
redis.call('SET', KEYS[2], ARGV[3])
return {'stored', publish(KEYS[1], ARGV[1], ARGV[2], 'clear', ARGV[3])}`);

/** Joins the processes. KEYS: stream, epoch. ARGV: limit, node, the epoch if there is none. */
export const JOIN: RedisScript = scriptOf(`${PUBLISH}
local epoch = redis.call('GET', KEYS[2])
if not epoch then
  epoch = ARGV[3]
  redis.call('SET', KEYS[2], epoch)
end
return {epoch, publish(KEYS[1], ARGV[1], ARGV[2], 'join', '')}`);

/** Keeps the turn for longer. KEYS: lock. ARGV: turn, ms. */
export const EXTEND_TURN: RedisScript = scriptOf(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'stored'}`);

/** Gives the turn back without an answer. KEYS: stream, lock. ARGV: limit, node, name, turn. */
export const RELEASE_TURN: RedisScript = scriptOf(`${PUBLISH}
if redis.call('GET', KEYS[2]) ~= ARGV[4] then return {'lost'} end
redis.call('DEL', KEYS[2])
publish(KEYS[1], ARGV[1], ARGV[2], 'release', ARGV[3])
return {'stored'}`);
