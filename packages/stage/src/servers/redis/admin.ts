import { types } from 'node:util';
import { abortable, type Clock, sleep, withDeadline } from '@holdfast/foundation';
import type { RedisReply } from '@holdfast/protocols/redis';
import { ServerTimeoutError } from '../../errors.ts';
import type { ServerHandle } from '../../handle/handle.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import { askRedis } from './command.ts';

const POLL_MS = 5;

/** The names and values that a list holds in turn, such as one entry of SENTINEL REPLICAS. */
export function fieldsOf(reply: RedisReply): ReadonlyMap<string, string> {
  const items = reply.kind === 'list' ? reply.items : [];
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < items.length; at += 2) {
    fields.set(valueOf(items[at]) ?? '', valueOf(items[at + 1]) ?? '');
  }
  return fields;
}

/** The text of a reply; `undefined` for an error or a list. */
export function valueOf(reply: RedisReply | undefined): string | undefined {
  return reply?.kind === 'value' ? (reply.value ?? undefined) : undefined;
}

/** One field of the output of INFO. */
export function infoField(printed: string | undefined, field: string): string | undefined {
  return new RegExp(`^${field}:(.*)\\r?$`, 'm').exec(printed ?? '')?.[1];
}

/** Polls until `probe` resolves with a result: neither false nor undefined. */
export async function waitUntil<T>(
  clock: Clock,
  probe: (signal: AbortSignal) => Promise<T | false | undefined>,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    const result = await abortable(probe(signal), signal);
    if (result !== undefined && result !== false) return result;
    await sleep(clock, POLL_MS, signal);
  }
}

/** Polls until the replica at an endpoint has a connection to its primary. */
export async function waitUntilLinked(
  clock: Clock,
  replica: Endpoint,
  signal: AbortSignal,
): Promise<void> {
  const isLinked = async (limit: AbortSignal): Promise<boolean> => {
    const reply = await askIfUp(replica, ['INFO', 'replication'], limit);
    return infoField(valueOf(reply), 'master_link_status') === 'up';
  };
  await waitUntil(clock, isLinked, signal);
}

/** The reply of a server; `undefined` when it does not answer. Rejects only with the signal's own reason. */
export async function askIfUp(
  endpoint: Endpoint,
  command: readonly string[],
  signal: AbortSignal,
): Promise<RedisReply | undefined> {
  try {
    return await askRedis(endpoint, command, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (types.isNativeError(error)) return undefined;
    throw error;
  }
}

/** How long the members of a topology may take to answer a query about it. */
export const ANSWER_TIMEOUT_MS = 1_000;

/** The replies of all running servers that answer within a second. */
export async function askAll(
  clock: Clock,
  servers: readonly ServerHandle[],
  command: readonly string[],
  signal?: AbortSignal,
): Promise<RedisReply[]> {
  const late = (): Error => new ServerTimeoutError('redis', ANSWER_TIMEOUT_MS, 'did not answer');
  const replies = servers
    .filter(({ state }) => state === 'running')
    .map((server) =>
      withDeadline(clock, ANSWER_TIMEOUT_MS, signal, late, (limit) =>
        askRedis(server.direct, command, limit),
      ),
    );
  const results = await Promise.allSettled(replies);
  signal?.throwIfAborted();
  return results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
}

/** The value that occurs most often; `undefined` without any. */
export function majorityOf<T>(values: readonly T[]): T | undefined {
  const votes = new Map<T, number>();
  for (const value of values) votes.set(value, (votes.get(value) ?? 0) + 1);
  const [most] = [...votes].toSorted(([, left], [, right]) => right - left);
  return most?.[0];
}
