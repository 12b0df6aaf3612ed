import { GROUP } from '../keys.ts';

/**
 * Lua shared by all scripts that add jobs to a topic. Besides the main stream, a topic may have subqueues: a stream
 * for each priority level but `normal` (`<stream>:high`, `<stream>:low`), and one for each partition (`<stream>:0`
 * ...). Consumers learn from `<stream>:layout` which of them exist; `<stream>:notify` wakes consumers when a job was
 * added to one of them, and one consumer of a topic without them when a job was delayed or handed back: the field `due`
 * asks it to look for such jobs. These keys are not known before the script runs; all are in the stream's slot.
 *
 * A stream is created with its group, because a full server lets consumers read, but not create.
 *
 * The routing of a job follows its time, after a space: a priority level, or the hash of its key; `-` for none where
 * attributes follow, after another space.
 */
export const routingLua: string = `
local partitions
local mustNotify, hasLevels, isDue = false, false, false
local seen = {}
local function createWithGroup(stream)
  if seen[stream] then return end
  seen[stream] = true
  -- After the first write, an error would lose the update of the high-water mark: the user may have no right to the key.
  if redis.pcall('EXISTS', stream) == 0 then redis.pcall('XGROUP', 'CREATE', stream, '${GROUP}', '0', 'MKSTREAM') end
end
local function partitionsOf(base)
  partitions = partitions or tonumber(redis.call('HGET', base .. ':layout', 'partitions')) or 0
  return partitions
end
local function streamOf(base, at)
  local routing = string.match(at, ' ([^ ]+)')
  createWithGroup(base)
  if not routing or routing == '-' then return base end
  local hash = tonumber(routing)
  if not hash then
    if not hasLevels then redis.call('HSET', base .. ':layout', 'levels', 1) end
    hasLevels, mustNotify = true, true
    createWithGroup(base .. ':' .. routing)
    return base .. ':' .. routing
  end
  if partitionsOf(base) == 0 then return base end
  mustNotify = true
  local stream = base .. ':' .. string.format('%.0f', hash % partitions)
  createWithGroup(stream)
  return stream
end
local function notify(base)
  -- A failed notification delays consumers briefly; an error here would lose the update of the high-water mark.
  if not mustNotify then return end
  createWithGroup(base .. ':notify')
  redis.pcall('XADD', base .. ':notify', 'MAXLEN', 1, '*', isDue and 'due' or 'n', 1)
end
local function subqueuesOf(base)
  local streams = {}
  local layout = redis.call('HMGET', base .. ':layout', 'partitions', 'levels')
  if layout[2] then streams = {base .. ':high', base .. ':low'} end
  for i = 0, (tonumber(layout[1]) or 0) - 1 do streams[#streams + 1] = base .. ':' .. i end
  return streams
end
`;
