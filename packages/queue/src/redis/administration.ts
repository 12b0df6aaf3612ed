import type { DeadLetter, PeekedJob, PeekedKind } from '../backend.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';
import { GROUP, type TopicKeys } from './keys.ts';
import {
  parseDeadLetters,
  parseDelayed,
  parseEntryIds,
  parsePeekStep,
  parseRedriveStep,
} from './replies.ts';
import { peekScript } from './scripts/inspect-scripts.ts';
import { MAX_STEP_BYTES, runScript } from './scripts/script.ts';
import { redriveScript } from './scripts/topic-scripts.ts';

/*
 * Lists and moves the stored jobs of a topic in steps, each of which occupies the server for a few milliseconds at
 * most, however many jobs there are and however large they are.
 */

const FIRST_PAGE = 16;
const MAX_PAGE = 500;

/** Reads pages until there are `limit` items or no more; pages of large items are small. */
async function readPages<T extends { readonly payload: string }>(
  limit: number,
  readPage: (count: number, from: number) => Promise<readonly T[]>,
): Promise<T[]> {
  const items: T[] = [];
  let characters = 0;
  let page = FIRST_PAGE;
  while (items.length < limit) {
    const count = Math.min(page, limit - items.length);
    const next = await readPage(count, items.length);
    items.push(...next);
    if (next.length < count) break;
    for (const { payload } of next) characters += payload.length;
    const perPage = Math.floor((MAX_STEP_BYTES * items.length) / Math.max(1, characters));
    page = Math.max(1, Math.min(perPage, 4 * page, MAX_PAGE));
  }
  return items;
}

/** The oldest dead letters. @throws BackendError */
export function listDeadLetters(
  connection: ManagedConnection,
  { dead }: TopicKeys,
  limit: number,
): Promise<DeadLetter[]> {
  let from = '-';
  return readPages(limit, async (count) => {
    const reply = await connection.call((client) =>
      client.call('XRANGE', dead, from, '+', 'COUNT', count),
    );
    const last = parseEntryIds(reply).at(-1);
    if (last !== undefined) from = `(${last}`;
    return parseDeadLetters(reply);
  });
}

/** Redrives dead letters that are there now; returns their number. @throws BackendError */
export async function redriveDeadLetters(
  connection: ManagedConnection,
  { stream, dead, result, settled }: TopicKeys,
  limit: number,
  ids: readonly string[],
): Promise<number> {
  const keys = [stream, dead];
  let redriven = 0;
  let from = '-';
  let last = '';
  while (from !== '' && redriven < limit) {
    const args = [limit - redriven, from, last, result(''), settled(''), ...ids];
    const reply = await connection.call((client) => runScript(client, redriveScript, keys, args));
    const step = parseRedriveStep(reply);
    redriven += step.redriven;
    ({ from, last } = step);
  }
  return redriven;
}

/** Lists the oldest jobs of one kind. @throws BackendError */
export async function listJobs(
  connection: ManagedConnection,
  { stream, delayed }: TopicKeys,
  kind: PeekedKind,
  limit: number,
): Promise<PeekedJob[]> {
  if (kind === 'delayed') {
    return readPages(limit, async (count, from) => {
      const range = [String(from), String(from + count - 1)];
      return parseDelayed(
        await connection.call((client) => client.call('ZRANGE', delayed, ...range, 'WITHSCORES')),
      );
    });
  }
  const jobs: PeekedJob[] = [];
  let number = 1;
  let part = kind === 'waiting' ? 'released' : 'own';
  let after = '';
  while (number > 0 && jobs.length < limit) {
    const args = [GROUP, kind, limit - jobs.length, number, part, after];
    const step = parsePeekStep(
      await connection.call((client) => runScript(client, peekScript, [stream], args)),
    );
    jobs.push(...step.jobs);
    ({ number, part, after } = step);
  }
  return jobs;
}
