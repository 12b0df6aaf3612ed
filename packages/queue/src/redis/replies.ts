import type { OperationOutcome } from '../control/control.ts';
import { isOutcome } from '../control/operation.ts';
import { BackendError } from '../errors.ts';
import type { OutcomeState } from '../outcomes/outcome-store.ts';
import type {
  DeadLetter,
  Delivery,
  PeekedJob,
  PublishReceipt,
  TopicControl,
  TopicCounts,
} from '../backend.ts';

/** Parsers for the replies of the scripts and stream commands. An unexpected reply is `denied`. */

export function parseReceipt(reply: unknown): PublishReceipt {
  const [remembered, alreadyApplied, refused = 0, poison = [], outcomes = [], ...duplicates] =
    list(reply);
  if (alreadyApplied === -1) {
    throw new BackendError(
      'busy',
      `Redis knows this producer's jobs only up to ${integer(remembered)}`,
    );
  }
  return {
    remembered: integer(remembered),
    alreadyApplied: integer(alreadyApplied),
    refused: integer(refused),
    duplicates: duplicates.map(text),
    ...outcomesOf(outcomes),
    ...poisonOf(poison),
  };
}

/** The sequences of the operations, each followed by what became of it. */
function outcomesOf(reply: unknown): Pick<PublishReceipt, 'outcomes'> {
  const values = list(reply);
  if (values.length === 0) return {};
  const outcomes = new Map<number, OperationOutcome>();
  for (let index = 0; index + 1 < values.length; index += 2) {
    const outcome = values[index + 1];
    if (isOutcome(outcome)) outcomes.set(integer(values[index]), outcome);
  }
  return { outcomes };
}

function poisonOf(reply: unknown): Pick<PublishReceipt, 'poison'> {
  const [sequence, reason] = list(reply);
  return sequence === undefined
    ? {}
    : { poison: { sequence: integer(sequence), reason: text(reason) } };
}

/** Parses the replies of WAIT (replicas) and WAITAOF (local disks, disks of replicas). */
export function parseReplicaCounts(reply: unknown): { disks: number; copies: number } {
  if (typeof reply === 'number') return { disks: 0, copies: reply };
  const [disks, copies] = list(reply);
  return { disks: integer(disks), copies: integer(copies) };
}

/** The reply of the maintain script. */
export interface Maintenance {
  /** When the next delayed job is due, in milliseconds from now; -1 when there is none. */
  readonly dueInMs: number;
  /** The names of the topic's subqueues, without the main one, which is ''. */
  readonly subqueues: readonly string[];
  readonly taken: Delivery[];
  readonly isPartial: boolean;
}

export function parseMaintenance(reply: unknown): Maintenance {
  const [dueInMs, partitions, levels, taken, isPartial] = list(reply);
  return {
    dueInMs: integer(dueInMs),
    subqueues: subqueueNames(integer(partitions), levels === 1),
    taken: list(taken).map((entry) => {
      const [handle, deliveries, fields, crashes = 0] = list(entry);
      const job = delivery(handle, integer(deliveries), fields);
      return crashes === 0 ? job : Object.assign(job, { crashes: integer(crashes) });
    }),
    isPartial: isPartial === 1,
  };
}

/** What the reply of the recover script has beside the jobs taken. */
export function parseRecovery(reply: unknown): {
  /** The handles whose leases went to another consumer. */
  lost: string[];
  /** The time of the server. */
  serverMs: number;
  /** The handles that have no job any more. */
  gone: string[];
} {
  const [, , , , , lost, serverMs, gone] = list(reply);
  return { lost: list(lost).map(text), serverMs: integer(serverMs), gone: list(gone).map(text) };
}

/** The reply of TIME, in milliseconds. */
export function parseTime(reply: unknown): number {
  const [seconds, microseconds] = list(reply);
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
}

/** The entries of one stream in the reply of XREADGROUP or XREAD; `null` after its timeout. */
export function parseEntries(reply: unknown, stream: string): unknown[] {
  for (const read of reply === null ? [] : list(reply)) {
    const [name, entries] = list(read);
    if (name === stream) return list(entries);
  }
  return [];
}

export function parseNewDeliveries(entries: readonly unknown[]): Delivery[] {
  return entries.map((entry) => {
    const [handle, fields] = list(entry);
    return delivery(handle, 1, fields);
  });
}

/** Whether an entry of the notify stream asks a consumer to look for due or returned jobs. */
export function isMaintenanceDue(entries: readonly unknown[]): boolean {
  return entries.some((entry) => list(list(entry)[1])[0] === 'due');
}

export function parseCounts(reply: unknown): TopicCounts {
  const [waiting = 0, pending = 0, delayed = 0, dead = 0, paused = 0] = list(reply).map(integer);
  return { waiting, pending, delayed, dead, ...(paused === 1 && { paused: true }) };
}

/** The jobs that one run of the peek script has listed, and where to go on; `number` is 0 at the end. */
export function parsePeekStep(reply: unknown): {
  number: number;
  part: string;
  after: string;
  jobs: PeekedJob[];
} {
  const [next, ...found] = list(reply);
  const [number, part, after] = list(next);
  const jobs = found.map((entry) => {
    const [deliveries, fields] = list(entry);
    return delivery('', integer(deliveries), fields);
  });
  return { number: integer(number), part: text(part), after: text(after), jobs };
}

/** What one run of the redrive script has done, and where to go on; `from` is empty at the end. */
export function parseRedriveStep(reply: unknown): { redriven: number; from: string; last: string } {
  const [redriven, from, last] = list(reply);
  return { redriven: integer(redriven), from: text(from), last: text(last) };
}

/** The stream ids of the reply of XRANGE. */
export function parseEntryIds(reply: unknown): string[] {
  return list(reply).map((entry) => text(list(entry)[0]));
}

/** Members and scores of the set of delayed jobs. */
export function parseDelayed(reply: unknown): PeekedJob[] {
  const values = list(reply).map(text);
  const jobs: PeekedJob[] = [];
  for (let index = 0; index + 1 < values.length; index += 2) {
    const [id = '', at, ...rest] = (values[index] ?? '').split('\n');
    const dueAtMs = Number(values[index + 1]);
    // See `memberOf`.
    const [mark, attempts, , ...payload] = rest;
    const own = mark === '' ? payload : rest;
    const deliveries = mark === '' ? Number(attempts) : 0;
    const job = { id, payload: own.join('\n'), deliveries, dueAtMs };
    jobs.push(Object.assign(job, parseTimeAndRouting(at)));
  }
  return jobs;
}

/** The member of a delayed job that has failed; see the maintenance scripts. */
export function memberOf(job: Delivery): string {
  const { id, deliveries, payload, history = [] } = job;
  return [id, timeAndRouting(job), '', deliveries, JSON.stringify(history), payload].join('\n');
}

/**
 * The value of the field `at`: when the job was enqueued, and after a `~` for how long it is worth running, its routing
 * and its attributes; or the operation.
 */
export function timeAndRouting({
  enqueuedAtMs,
  routing,
  attributes,
  operation,
  expiresInMs,
}: {
  enqueuedAtMs: number;
  routing?: string | undefined;
  attributes?: string | undefined;
  operation?: string | undefined;
  expiresInMs?: number | undefined;
}): string | number {
  if (operation !== undefined) return `${enqueuedAtMs} !${operation}`;
  const time = expiresInMs === undefined ? enqueuedAtMs : `${enqueuedAtMs}~${expiresInMs}`;
  if (attributes !== undefined) return `${time} ${routing ?? NO_ROUTING} ${attributes}`;
  return routing === undefined ? time : `${time} ${routing}`;
}

/** Stands for the routing of a job that has attributes only. */
const NO_ROUTING = '-';

function parseTimeAndRouting(
  value = '0',
): Pick<Delivery, 'enqueuedAtMs' | 'routing' | 'attributes' | 'expiresInMs'> {
  const [times = '', routing = NO_ROUTING, attributes] = value.split(' ');
  const [time, expiry] = times.split('~');
  return {
    enqueuedAtMs: Number(time),
    ...(routing !== NO_ROUTING && { routing }),
    ...(attributes !== undefined && { attributes }),
    ...(expiry !== undefined && { expiresInMs: Number(expiry) }),
  };
}

/** The handle of a job in a subqueue begins with the name of the subqueue. */
export function parseTaken(reply: unknown): {
  notified: string;
  newest: string;
  dueInMs: number;
  deliveries: Delivery[];
} {
  const [notified, newest, dueInMs, ...taken] = list(reply);
  const deliveries = taken.map((entry) => {
    const [subqueue, id, fields] = list(entry);
    return inSubqueue(text(subqueue), delivery(id, 1, fields));
  });
  return { notified: text(notified), newest: text(newest), dueInMs: integer(dueInMs), deliveries };
}

function inSubqueue(subqueue: string, taken: Delivery): Delivery {
  return subqueue === '' ? taken : { ...taken, handle: `${subqueue}/${taken.handle}` };
}

/** The subqueue of a handle, and the stream id. */
export function parseHandle(handle: string): { subqueue: string; id: string } {
  const at = handle.indexOf('/');
  return { subqueue: handle.slice(0, Math.max(0, at)), id: handle.slice(at + 1) };
}

/** Parses the reply of XRANGE for dead letters. */
export function parseDeadLetters(reply: unknown): DeadLetter[] {
  return list(reply).map((entry) => {
    const [, fields] = list(entry);
    const values = valuesOf(fields);
    const stack = values.get('stack');
    return Object.assign(parseTimeAndRouting(values.get('at')), {
      id: values.get('id') ?? '',
      payload: values.get('payload') ?? 'null',
      deliveries: Number(values.get('deliveries') ?? 0),
      reason: values.get('reason') ?? '',
      ...(stack !== undefined && { stack }),
      history: parseHistory(values.get('history') ?? '[]'),
    });
  });
}

/** The reply of MGET for the outcome, the mark and the progress of each job. */
export function parseOutcomeStates(reply: unknown): OutcomeState[] {
  const values = list(reply);
  const states: OutcomeState[] = [];
  for (let index = 0; index + 2 < values.length; index += 3) {
    const [outcome, mark, progress] = values.slice(index, index + 3);
    states.push({
      ...(typeof outcome === 'string' && { outcome }),
      ...(typeof progress === 'string' && { progress }),
      isExpired: typeof outcome !== 'string' && typeof mark === 'string',
    });
  }
  return states;
}

/** The ids of the jobs that news tell of. */
export function parseNews(entries: readonly unknown[]): string[] {
  return [...new Set(entries.map((entry) => text(list(list(entry)[1])[1])))];
}

function parseHistory(json: string): string[] {
  return list(JSON.parse(json)).map(text);
}

function valuesOf(fields: unknown): Map<string, string> {
  const values = new Map<string, string>();
  const flat = list(fields).map(text);
  for (let index = 0; index + 1 < flat.length; index += 2) {
    values.set(flat[index] ?? '', flat[index + 1] ?? '');
  }
  return values;
}

/** Called for every delivery: reads the fields in one pass, without a map. */
function delivery(handle: unknown, deliveries: number, fields: unknown): Delivery {
  const flat = list(fields);
  let id: string | undefined;
  let at = '0';
  let payload = 'null';
  let history: string[] | undefined;
  let attempts = 0;
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const value = text(flat[index + 1]);
    switch (flat[index]) {
      case 'id':
        id = value;
        break;
      case 'at':
        at = value;
        break;
      case 'payload':
        payload = value;
        break;
      case 'history':
        history = parseHistory(value);
        break;
      case 'attempts':
        attempts = Number(value);
        break;
    }
  }
  const name = text(handle);
  return {
    ...(history && { history }),
    handle: name,
    deliveries: deliveries + attempts,
    id: id ?? name,
    ...parseTimeAndRouting(at),
    payload,
  };
}

/** One step of ZSCAN that looks for a member. */
export function parseScan(reply: unknown): { cursor: string; member?: string } {
  const [cursor, found] = list(reply);
  const [member] = list(found);
  return { cursor: text(cursor), ...(member !== undefined && { member: text(member) }) };
}

/** One step of a search in the streams; the number is negative when it was found, and 0 at the end. */
export function parseFound(reply: unknown): { number: number; after: string; subqueue: string } {
  const [number, after, subqueue = ''] = list(reply);
  return { number: integer(number), after: text(after), subqueue: text(subqueue) };
}

export function parseRemoved(reply: unknown): {
  removed: number;
  isPartial: boolean;
  last: string;
} {
  const [removed, isPartial, last] = list(reply);
  return { removed: integer(removed), isPartial: isPartial === 1, last: text(last) };
}

/** The names of the subqueues of a layout, without the main one. */
export function parseSubqueues(reply: unknown): string[] {
  const [partitions, levels] = list(reply);
  return subqueueNames(Number(partitions ?? 0), levels !== null);
}

function subqueueNames(partitions: number, hasLevels: boolean): string[] {
  const numbers = Array.from({ length: partitions }, (_, number) => String(number));
  return hasLevels ? ['high', 'low', ...numbers] : numbers;
}

/** The reply of the control script for these subqueues. */
export function parseControl(reply: unknown, subqueues: readonly string[]): TopicControl {
  const [isPaused, ...cancelled] = list(reply);
  return {
    isPaused: isPaused === 1,
    cancelled: cancelled.flatMap((entries, index) => {
      const subqueue = subqueues[index] ?? '';
      return list(entries).map((id) => (subqueue === '' ? text(id) : `${subqueue}/${text(id)}`));
    }),
  };
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : unexpected(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : unexpected(value);
}

function integer(value: unknown): number {
  return typeof value === 'number' ? value : unexpected(value);
}

function unexpected(value: unknown): never {
  throw new BackendError('denied', `Redis answered in an unknown shape (${typeof value})`);
}
