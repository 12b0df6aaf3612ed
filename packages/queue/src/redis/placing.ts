/**
 * Lua that all scripts share which add jobs to a topic. Besides the stream there is one for each level but the
 * normal one (`<stream>:high`, `<stream>:low`) and one for each partition (`<stream>:0` ...). What a topic has of these
 * stands in `<stream>:shape`, so that consumers need not be told; `<stream>:bell` tells them that something came
 * to one of them. None of these keys can be named before the script runs; all are in the stream's slot.
 *
 * Where a job belongs stands behind its time, after a space: a level, or the hash of its key.
 */
export const placingLua = `
local partitions
local rung, levelled = false, false
local function shapeOf(base)
  partitions = partitions or tonumber(redis.call('HGET', base .. ':shape', 'partitions')) or 0
  return partitions
end
local function streamOf(base, at)
  local place = string.match(at, ' (.+)$')
  if not place then return base end
  local hash = tonumber(place)
  if not hash then
    if not levelled then redis.call('HSET', base .. ':shape', 'levels', 1) end
    levelled, rung = true, true
    return base .. ':' .. place
  end
  if shapeOf(base) == 0 then return base end
  rung = true
  return base .. ':' .. string.format('%.0f', hash % partitions)
end
local function ring(base)
  -- A bell that cannot be rung costs a moment; failing here would cost the mark.
  if rung then redis.pcall('XADD', base .. ':bell', 'MAXLEN', 1, '*', 'n', 1) end
end
local function channelsOf(base)
  local streams = {}
  local shape = redis.call('HMGET', base .. ':shape', 'partitions', 'levels')
  if shape[2] then streams = {base .. ':high', base .. ':low'} end
  for i = 0, (tonumber(shape[1]) or 0) - 1 do streams[#streams + 1] = base .. ':' .. i end
  return streams
end
`;
