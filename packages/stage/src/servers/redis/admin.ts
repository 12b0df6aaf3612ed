import { types } from 'node:util';
import { abortable, type Clock, sleep, withDeadline } from '@holdfast/foundation';
import { ServerTimeoutError } from '../../errors.ts';
import type { Address } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import type { RedisReply } from '@holdfast/protocols/redis';
import { askRedis } from './command.ts';

const POLL_MS = 5;

/** The names and values that a reply lists in turn, such as one entry of SENTINEL REPLICAS. */
export function fieldsOf(reply: RedisReply): ReadonlyMap<string, string> {
  const words = reply.kind === 'list' ? reply.items : [];
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < words.length; at += 2) {
    fields.set(valueOf(words[at]) ?? '', valueOf(words[at + 1]) ?? '');
  }
  return fields;
}

/** The text of a reply; `undefined` for an error or a list. */
export function valueOf(reply: RedisReply | undefined): string | undefined {
  return reply?.kind === 'value' ? (reply.value ?? undefined) : undefined;
}

/** One field of what INFO prints. */
export function infoField(printed: string | undefined, field: string): string | undefined {
  return new RegExp(`^${field}:(.*)\\r?$`, 'm').exec(printed ?? '')?.[1];
}

/** Asks again and again until `holds`; a server that does not answer does not hold. */
export async function waitUntil(
  clock: Clock,
  holds: (signal: AbortSignal) => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  while (!(await abortable(holds(signal), signal))) await sleep(clock, POLL_MS, signal);
}

/** What a server answers; `undefined` when it does not. Rejects only with the signal's own reason. */
export async function askIfUp(
  address: Address,
  command: readonly string[],
  signal: AbortSignal,
): Promise<RedisReply | undefined> {
  try {
    return await askRedis(address, command, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (types.isNativeError(error)) return undefined;
    throw error;
  }
}

/** How long members of a topology may take to answer a question about it. */
export const ANSWER_TIMEOUT_MS = 1_000;

/** What each of the running servers answers, within a second; those that stay silent are left out. */
export async function askAll(
  clock: Clock,
  servers: readonly ServerHandle[],
  command: readonly string[],
  signal?: AbortSignal,
): Promise<RedisReply[]> {
  const late = (): Error => new ServerTimeoutError('redis', ANSWER_TIMEOUT_MS, 'did not answer');
  const asked = servers
    .filter(({ state }) => state === 'running')
    .map((server) =>
      withDeadline(clock, ANSWER_TIMEOUT_MS, signal, late, (limit) =>
        askRedis(server.direct, command, limit),
      ),
    );
  const settled = await Promise.allSettled(asked);
  signal?.throwIfAborted();
  return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
}
