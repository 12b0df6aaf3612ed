import type {
  Publication,
  PublishReceipt,
  PublishedJob,
  RemovalPosition,
  RemovalStep,
  TopicControl,
} from '../backend.ts';
import { isOnJob, targetOf } from '../control/operation.ts';
import { BackendError } from '../errors.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';
import type { TopicKeys } from './keys.ts';
import { parseControl, parseFound, parseRemoved, parseScan, parseSubqueues } from './replies.ts';
import { controlScript, findScript, removeWaitingScript } from './scripts/control-scripts.ts';
import { runScript } from './scripts/script.ts';

/*
 * Operations on the jobs of a topic. A job is looked for in steps, each of which occupies the server for a few
 * milliseconds at most, however many jobs there are; what was found is then changed together with the mark of the
 * producer, in one atomic step.
 */

/** Where a job was found, as the publish script reads it. */
type Found =
  | { readonly member: string }
  | { readonly subqueue: string; readonly entry: string }
  | { readonly isAbsent: true };

/** How often a job is looked for that moves on meanwhile. */
const MAX_SEARCHES = 20;
/** The members that one step of a search looks at, and that one step removes. */
const SCANNED = 500;
const REMOVED = 200;

/**
 * Publishes jobs among which are operations on jobs: what precedes each of them first, because it may be what it
 * concerns.
 * @throws BackendError; publishing the same jobs again is harmless then.
 */
export async function publishOperations(
  publication: Publication,
  publish: (part: Publication) => Promise<PublishReceipt>,
  find: (id: string) => Promise<Found>,
): Promise<PublishReceipt> {
  let whole: PublishReceipt | undefined;
  let done = 0;
  for (const jobs of inParts(publication.jobs)) {
    const part = { ...publication, jobs };
    const receipt = await (isOnJob(jobs[0]?.operation)
      ? publishOne(part, publish, find)
      : publish(part));
    done += jobs.length;
    whole = whole === undefined ? receipt : joined(whole, receipt);
    if (receipt.poison !== undefined) break;
    if (receipt.refused > 0) {
      const behind = publication.jobs.length - done;
      return { ...whole, refused: receipt.refused + behind };
    }
  }
  return whole ?? publish(publication);
}

/** One operation, with what it concerns; first without, because the store may have applied it before. */
async function publishOne(
  part: Publication,
  publish: (part: Publication) => Promise<PublishReceipt>,
  find: (id: string) => Promise<Found>,
): Promise<PublishReceipt> {
  const [operation] = part.jobs;
  if (operation === undefined) return publish(part);
  let receipt = await publish(part);
  for (let search = 0; search < MAX_SEARCHES && !isSettled(receipt); search += 1) {
    const payload = JSON.stringify(await find(targetOf(operation)));
    receipt = await publish({ ...part, jobs: [{ ...operation, payload }] });
  }
  if (isSettled(receipt)) return receipt;
  const seen = `job ${targetOf(operation)} moved on whenever it was found`;
  throw new BackendError('busy', `Redis: ${operation.operation ?? ''} of ${part.topic}: ${seen}`);
}

function isSettled({ outcomes, alreadyApplied, refused, poison }: PublishReceipt): boolean {
  return outcomes !== undefined || alreadyApplied + refused > 0 || poison !== undefined;
}

function inParts(jobs: readonly PublishedJob[]): PublishedJob[][] {
  const parts: PublishedJob[][] = [];
  let isAlone = true;
  for (const job of jobs) {
    const wasAlone = isAlone;
    isAlone = isOnJob(job.operation);
    const last = parts.at(-1);
    if (last === undefined || isAlone || wasAlone) parts.push([job]);
    else last.push(job);
  }
  return parts;
}

function joined(first: PublishReceipt, next: PublishReceipt): PublishReceipt {
  const outcomes = new Map([...(first.outcomes ?? []), ...(next.outcomes ?? [])]);
  return {
    remembered: first.remembered,
    alreadyApplied: first.alreadyApplied + next.alreadyApplied,
    duplicates: [...first.duplicates, ...next.duplicates],
    refused: next.refused,
    ...(outcomes.size > 0 && { outcomes }),
    ...(next.poison && { poison: next.poison }),
  };
}

/** Looks for a job: in the delayed ones, the others, and again in the delayed ones, which it may have joined. */
export async function findJob(
  connection: ManagedConnection,
  keys: TopicKeys,
  id: string,
): Promise<Found> {
  return (
    (await findDelayed(connection, keys, id)) ??
    (await findEntry(connection, keys, id)) ??
    (await findDelayed(connection, keys, id)) ?? { isAbsent: true }
  );
}

async function findDelayed(
  connection: ManagedConnection,
  { delayed }: TopicKeys,
  id: string,
): Promise<Found | undefined> {
  // The id ends with a line feed, which none has inside.
  const pattern = `${id.replaceAll(/[\\*?[\]]/gu, String.raw`\$&`)}\n*`;
  let cursor = '0';
  do {
    const args = [delayed, cursor, 'MATCH', pattern, 'COUNT', SCANNED];
    const scan = parseScan(await connection.call((client) => client.call('ZSCAN', ...args)));
    if (scan.member !== undefined) return { member: scan.member };
    cursor = scan.cursor;
  } while (cursor !== '0');
  return undefined;
}

async function findEntry(
  connection: ManagedConnection,
  { stream }: TopicKeys,
  id: string,
): Promise<Found | undefined> {
  let number = 1;
  let after = '';
  while (number > 0) {
    const args = [id, number, after];
    const step = parseFound(
      await connection.call((client) => runScript(client, findScript, [stream], args)),
    );
    if (step.number < 0) return { subqueue: step.subqueue, entry: step.after };
    ({ number, after } = step);
  }
  return undefined;
}

/** One step of a removal; its position is a phase, a number and a name. @throws BackendError */
export async function removeStep(
  connection: ManagedConnection,
  keys: TopicKeys,
  delayed: boolean,
  [phase = delayed ? 'count' : 'list', left = 0, last = '', ...names]: RemovalPosition = [],
): Promise<RemovalStep> {
  const listing = ['list', 0, ''];
  if (phase === 'count') {
    const count = Number(await connection.call((client) => client.call('ZCARD', keys.delayed)));
    return { removed: 0, next: count === 0 ? listing : ['delayed', count, ''] };
  }
  if (phase === 'delayed') {
    const most = Math.min(Number(left), REMOVED);
    const removed = Number(
      await connection.call((client) => client.call('ZREMRANGEBYRANK', keys.delayed, 0, most - 1)),
    );
    const rest = removed < most ? 0 : Number(left) - removed;
    return { removed, next: rest === 0 ? listing : ['delayed', rest, ''] };
  }
  if (phase === 'list') {
    const layout = `${keys.stream}:layout`;
    const reply = await connection.call((client) =>
      client.call('HMGET', layout, 'partitions', 'levels'),
    );
    return { removed: 0, next: ['stream', 0, '', '', ...parseSubqueues(reply)] };
  }
  const [subqueue = '', ...others] = names;
  const stream = subqueue === '' ? keys.stream : `${keys.stream}:${subqueue}`;
  const step = parseRemoved(
    await connection.call((client) =>
      runScript(client, removeWaitingScript, [stream, keys.stream], [last]),
    ),
  );
  const next = step.isPartial ? ['stream', 0, step.last, ...names] : ['stream', 0, '', ...others];
  const isOver = !step.isPartial && others.length === 0;
  return { removed: step.removed, ...(!isOver && { next }) };
}

/** What operations have done to the topic, and to the jobs of these subqueues. @throws BackendError */
export async function readControl(
  connection: ManagedConnection,
  { stream }: TopicKeys,
  subqueues: readonly string[],
): Promise<TopicControl> {
  const streams = subqueues.map((name) => (name === '' ? stream : `${stream}:${name}`));
  const reply = await connection.call(
    (client) => runScript(client, controlScript, [stream, ...streams], []),
    0,
    true,
  );
  return parseControl(reply, subqueues);
}
