/** The name under which a group keeps jobs that were handed back: any consumer may take them at once. */
export const RELEASED = 'released';

/**
 * Lua shared by the scripts that end deliveries. A job that was cancelled while a consumer held it is in the sorted set
 * `<stream>:cancelled` until that delivery ends: whatever its end is, the job is removed.
 */
export const cancelledLua: string = `
local function dropCancelled(stream, group, id)
  local key = stream .. ':cancelled'
  if not redis.call('ZSCORE', key, id) then return false end
  redis.call('ZREM', key, id)
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
  return true
end
`;
