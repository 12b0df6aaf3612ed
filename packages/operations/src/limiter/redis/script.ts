/** What `gcra.ts` does, in one step of Redis, by the clock of the server. */

/**
 * KEYS: what is known of the store; the state of the key. ARGV: the run id of the server, settleMs, cost, then interval
 * and tolerance of both rates. A store whose data are new or another's begins to settle.
 */
export const takeScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local settle, cost = tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('HMGET', KEYS[1], 'run', 'since')
local since = tonumber(known[2] or '')
if not since or known[1] ~= ARGV[1] then
  since = now + settle
  redis.call('HSET', KEYS[1], 'run', ARGV[1], 'since', string.format('%.3f', since))
end
since = math.min(since, now + settle)
if now < since then return {2, math.ceil(since - now)} end
local stored = redis.call('HMGET', KEYS[2], 's', 'p')
local function spent(paid, tolerance)
  return math.min(math.max(tonumber(paid or '') or 0, since + tolerance, now), now + tolerance)
end
local interval, tolerance = tonumber(ARGV[4]), tonumber(ARGV[5])
local peakInterval, peakTolerance = tonumber(ARGV[6]), tonumber(ARGV[7])
local paid = spent(stored[1], tolerance) + cost * interval
local peakPaid = spent(stored[2], peakTolerance) + cost * peakInterval
local wait = math.max(
  paid - math.max(tolerance, interval),
  peakPaid - math.max(peakTolerance, peakInterval)
) - now
if wait > 0.001 then return {1, math.ceil(wait)} end
redis.call('HSET', KEYS[2], 's', string.format('%.3f', paid), 'p', string.format('%.3f', peakPaid))
redis.call('PEXPIRE', KEYS[2], math.ceil(math.max(paid, peakPaid) - now) + 1)
local left = math.min((now + tolerance - paid) / interval, (now + peakTolerance - peakPaid) / peakInterval)
return {0, math.max(0, math.floor(left + 0.001))}
`;

/** KEYS: what is known of the store. ARGV: the run id of the server, settleMs. */
export const joinScript = `
local time = redis.call('TIME')
local since = time[1] * 1000 + time[2] / 1000 + tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'since', string.format('%.3f', since))
return 0
`;
