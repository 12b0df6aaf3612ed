/**
 * Lua that all scripts share which add jobs to a topic. Besides the stream there is one for each level but the
 * normal one (`<stream>:high`, `<stream>:low`) and one for each partition (`<stream>:0` ...). What a topic has of these
 * stands in `<stream>:layout`, so that consumers need not be told; `<stream>:notify` tells them that something came
 * to one of them. None of these keys can be named before the script runs; all are in the stream's slot.
 *
 * Where a job belongs stands behind its time, after a space: a level, or the hash of its key.
 */
export const routingLua = `
local partitions
local mustNotify, hasLevels = false, false
local function partitionsOf(base)
  partitions = partitions or tonumber(redis.call('HGET', base .. ':layout', 'partitions')) or 0
  return partitions
end
local function streamOf(base, at)
  local routing = string.match(at, ' (.+)$')
  if not routing then return base end
  local hash = tonumber(routing)
  if not hash then
    if not hasLevels then redis.call('HSET', base .. ':layout', 'levels', 1) end
    hasLevels, mustNotify = true, true
    return base .. ':' .. routing
  end
  if partitionsOf(base) == 0 then return base end
  mustNotify = true
  return base .. ':' .. string.format('%.0f', hash % partitions)
end
local function notify(base)
  -- A failed notification delays consumers briefly; an error here would lose the update of the mark.
  if mustNotify then redis.pcall('XADD', base .. ':notify', 'MAXLEN', 1, '*', 'n', 1) end
end
local function subqueuesOf(base)
  local streams = {}
  local layout = redis.call('HMGET', base .. ':layout', 'partitions', 'levels')
  if layout[2] then streams = {base .. ':high', base .. ':low'} end
  for i = 0, (tonumber(layout[1]) or 0) - 1 do streams[#streams + 1] = base .. ':' .. i end
  return streams
end
`;
