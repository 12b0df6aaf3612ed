import { createHash } from 'node:crypto';
import { BackendError } from '../../errors.ts';
import {
  type LimitStore,
  type LimitedSlot,
  MAX_POSTPONED_MS,
  type StartPermit,
  type PermitRequest,
  SLOT_WAIT_MS,
  paceOf,
} from '../../limits/limit-store.ts';
import type { Connections } from '../connection/connections.ts';
import { topicKeys } from '../keys.ts';
import { type LuaScript, runScript, script } from '../scripts/script.ts';

/** The slots and the pace of a topic are forgotten so many leases after the last question. */
const KEEP_LEASES = 10;

/**
 * Answers which jobs may start, by the generic cell rate algorithm and by leased slots, on the time of the server.
 *
 * A pace is a time at which the next start is due; it may be ahead of now by a burst. One that is further ahead is of a
 * server whose clock was ahead, and is cut. Slots expire; but after a time in which nobody could renew theirs, as an
 * outage, none expires for one lease.
 *
 *   KEYS  1 hash of the topic: due, seen, quiet   2 sorted set of its slots by their expiry
 *         3.. for each key of the jobs: its hash (due, postponed) and its slots
 *   ARGV  1 interval of the topic in ms, 0 for no limit   2 how far ahead   3 slots, 0 for no limit
 *         4 to 6 the same for each key   7 lease in ms   8 how many of the jobs run already
 *         9.. for each job: its slot, and the index in KEYS of its key's hash, or 0
 *   Returns for each job that does not run yet: { 0 } when it may start; else { 1 for the topic's limit or 2 for that
 *   of its key, ms to wait }
 */
const acquireScript: LuaScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local lease, isRunning = tonumber(ARGV[7]), tonumber(ARGV[8])
local limits = {
  {every = tonumber(ARGV[1]), ahead = tonumber(ARGV[2]), most = tonumber(ARGV[3])},
  {every = tonumber(ARGV[4]), ahead = tonumber(ARGV[5]), most = tonumber(ARGV[6])},
}
local seen = redis.call('HMGET', KEYS[1], 'seen', 'quiet')
local quiet = tonumber(seen[2]) or 0
if seen[1] and now - seen[1] > lease / 2 then quiet = now + lease end
if quiet > now + lease then quiet = now + lease end
local states = {}
local function stateOf(index, limit)
  local state = states[index]
  if state then return state end
  state = {key = KEYS[index], slots = KEYS[index + 1], limit = limit}
  local kept = redis.call('HMGET', state.key, 'due', 'postponed')
  state.due = math.min(tonumber(kept[1]) or 0, now + limit.ahead + limit.every)
  state.postponed = math.min(tonumber(kept[2]) or 0, now + ${MAX_POSTPONED_MS} + limit.every)
  if limit.most > 0 then
    if now >= quiet then redis.call('ZREMRANGEBYSCORE', state.slots, '-inf', now) end
    state.taken = redis.call('ZCARD', state.slots)
  end
  states[index] = state
  return state
end
local function waitFor(state, slot)
  local limit = state.limit
  if limit.every > 0 and state.due - now > limit.ahead then return state.due - now - limit.ahead end
  if limit.most > 0 and state.taken >= limit.most and not redis.call('ZSCORE', state.slots, slot) then
    return ${SLOT_WAIT_MS}
  end
  return 0
end
local function occupy(state, slot)
  if state.limit.most == 0 then return end
  state.taken = state.taken + redis.call('ZADD', state.slots, now + lease, slot)
end
local function start(state)
  if state.limit.every > 0 then state.due = math.max(state.due, now) + state.limit.every end
end
local function postpone(state)
  local every = state.limit.every
  if state.limit.most > 0 then every = math.max(every, ${SLOT_WAIT_MS}) end
  state.postponed = math.max(state.postponed, state.due - state.limit.ahead, now)
  local wait = state.postponed - now
  if wait < ${MAX_POSTPONED_MS} then state.postponed = state.postponed + every end
  return math.max(1, math.min(wait, ${MAX_POSTPONED_MS}))
end
local answers = {}
for i = 0, (#ARGV - 8) / 2 - 1 do
  local slot, index = ARGV[9 + 2 * i], tonumber(ARGV[10 + 2 * i])
  local topic = stateOf(1, limits[1])
  local key = index > 0 and stateOf(index, limits[2])
  if i < isRunning then
    occupy(topic, slot)
    if key then occupy(key, slot) end
  else
    local wait = waitFor(topic, slot)
    local answer = {0}
    if wait > 0 then answer = {1, math.ceil(wait)}
    elseif key and waitFor(key, slot) > 0 then answer = {2, math.ceil(postpone(key))}
    else
      start(topic)
      occupy(topic, slot)
      if key then
        start(key)
        occupy(key, slot)
      end
    end
    answers[#answers + 1] = answer
  end
end
local keep = math.ceil(lease * ${KEEP_LEASES})
for index, state in pairs(states) do
  redis.call('HSET', state.key, 'due', string.format('%.3f', state.due), 'postponed', string.format('%.3f', state.postponed))
  redis.call('PEXPIRE', state.key, math.ceil(math.max(keep, state.due - now, state.postponed - now)))
  if state.limit.most > 0 then redis.call('PEXPIRE', state.slots, keep) end
end
redis.call('HSET', KEYS[1], 'seen', string.format('%.0f', now), 'quiet', string.format('%.0f', quiet))
redis.call('PEXPIRE', KEYS[1], keep)
return answers
`);

/** Keeps the limits of topics in Redis, each in the slot of its topic. */
export class RedisLimitStore implements LimitStore {
  readonly #connections: Connections;
  readonly #prefix: string;

  constructor(connections: Connections, prefix: string) {
    this.#connections = connections;
    this.#prefix = prefix;
  }

  async acquire(request: PermitRequest): Promise<StartPermit[]> {
    const { topic, limits, leaseMs, jobs, running } = request;
    const ofTopic = paceOf(limits.topic);
    const ofKey = paceOf(limits.key);
    const keys = this.#keysOf(topic, undefined);
    const indexes = new Map<string, number>();
    const indexOf = ({ key }: LimitedSlot): number => {
      if (key === undefined) return 0;
      const known = indexes.get(key) ?? keys.length + 1;
      if (!indexes.has(key)) keys.push(...this.#keysOf(topic, key));
      indexes.set(key, known);
      return known;
    };
    const slots = [...running, ...jobs].flatMap((job) => [job.slot, indexOf(job)]);
    const args = [
      ofTopic.intervalMs,
      ofTopic.aheadMs,
      limits.topic.running,
      ofKey.intervalMs,
      ofKey.aheadMs,
      limits.key.running,
      leaseMs,
      running.length,
      ...slots,
    ];
    const reply = await this.#connections
      .forTopic(topic)
      .call((client) => runScript(client, acquireScript, keys, args));
    if (!Array.isArray(reply) || reply.length !== jobs.length) throw unknownShape();
    return reply.map(parsePermit);
  }

  async release(topic: string, jobs: readonly LimitedSlot[]): Promise<void> {
    const bySet = new Map<string, string[]>();
    for (const { slot, key } of jobs) {
      const sets = [undefined, ...(key === undefined ? [] : [key])];
      for (const of of sets) {
        const [, set = ''] = this.#keysOf(topic, of);
        bySet.set(set, [...(bySet.get(set) ?? []), slot]);
      }
    }
    const connection = this.#connections.forTopic(topic);
    const removals = [...bySet].map(([set, slots]) =>
      connection.call((client) => client.call('ZREM', set, ...slots)),
    );
    await Promise.all(removals);
  }

  /** The hash and the slots of the topic, or of a key, which may be long. */
  #keysOf(topic: string, key: string | undefined): string[] {
    const name = key === undefined ? '' : createHash('sha1').update(key).digest('base64url');
    const base = topicKeys(this.#prefix, topic).limit(name);
    return [base, `${base}:slots`];
  }
}

function parsePermit(reply: unknown): StartPermit {
  const [kind, waitMs]: unknown[] = Array.isArray(reply) ? reply : [];
  if (kind === 0) return { kind: 'granted' };
  if (typeof waitMs !== 'number') throw unknownShape();
  return { kind: kind === 1 ? 'topic' : 'key', waitMs };
}

function unknownShape(): BackendError {
  return new BackendError('denied', 'Redis answered about a limit in an unknown shape');
}
