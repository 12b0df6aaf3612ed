import type { PublishedJob } from '../../backend.ts';

/** A window of the last job that may be replaced is remembered this much longer: producers' clocks differ. */
const MARGIN_MS = 60_000;

/**
 * Lua of the publish script for jobs that are merged by a key. The key in Redis has the time of the last job, by its
 * producer, and for `replace` its member in the set of delayed jobs. These times decide, not when the jobs arrive: after
 * an outage, many come at once.
 */
export const debounceLua: string = `
local debounces = ARGV[11] ~= '' and cjson.decode(ARGV[11]) or {}
local function timeOf(enqueued)
  return tonumber(string.match(enqueued, '^%d+'))
end
-- Returns whether the job is dropped, or the member of the job that it replaces.
local function windowOf(key, debounce, enqueued)
  local kept = redis.call('GET', key)
  local at, member = string.match(kept or '', '^(%d+)\\n(.*)$')
  local since = at and timeOf(enqueued) - at
  if not since or math.abs(since) >= debounce.windowMs then return false end
  if debounce.mode == 'first' or since < 0 then return true end
  return false, member
end
local function beginWindow(key, debounce, enqueued, member)
  redis.call('SET', key, timeOf(enqueued) .. '\\n' .. (debounce.mode == 'first' and '' or member), 'PX', debounce.ttlMs)
end
`;

/**
 * The windows of the jobs that have one, by their sequences, as JSON; '' when there are none.
 * @param jobIdTtlMs how long a first job is remembered at least, for jobs that another producer had to keep.
 */
export function encodeWindows(jobs: readonly PublishedJob[], jobIdTtlMs: number): string {
  let windows: Record<string, object> | undefined;
  for (const { sequence, debounce } of jobs) {
    if (debounce === undefined) continue;
    const { windowMs, mode } = debounce;
    const ttlMs = mode === 'first' ? Math.max(windowMs, jobIdTtlMs) : 2 * windowMs + MARGIN_MS;
    windows ??= {};
    windows[sequence] = { windowMs, mode, ttlMs };
  }
  return windows === undefined ? '' : JSON.stringify(windows);
}
