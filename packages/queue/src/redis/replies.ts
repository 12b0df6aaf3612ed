import { BackendError } from '../errors.ts';
import type {
  DeadLetter,
  Delivery,
  PeekedJob,
  PublishReceipt,
  RecoveredDeliveries,
  TopicCounts,
} from '../backend.ts';

/** Reading what the scripts and stream commands answer; a reply of another shape is a refusal. */

export function readReceipt(reply: unknown): PublishReceipt {
  const [remembered, alreadyApplied, refused = 0, poison = [], ...duplicates] = list(reply);
  if (alreadyApplied === -1) {
    throw new BackendError(
      'busy',
      `Redis knows this producer's jobs only up to ${whole(remembered)}`,
    );
  }
  return {
    remembered: whole(remembered),
    alreadyApplied: whole(alreadyApplied),
    refused: whole(refused),
    duplicates: duplicates.map(word),
    ...poisonOf(poison),
  };
}

function poisonOf(reply: unknown): Pick<PublishReceipt, 'poison'> {
  const [sequence, reason] = list(reply);
  return sequence === undefined
    ? {}
    : { poison: { sequence: whole(sequence), reason: word(reason) } };
}

/** What WAIT (how many replicas) and WAITAOF (how many own disks, how many replicas') answer. */
export function readCopies(reply: unknown): { disks: number; copies: number } {
  if (typeof reply === 'number') return { disks: 0, copies: reply };
  const [disks, copies] = list(reply);
  return { disks: whole(disks), copies: whole(copies) };
}

export function readRecovery(reply: unknown): RecoveredDeliveries {
  const [lost, taken] = list(reply);
  return {
    lost: list(lost).map(word),
    deliveries: list(taken).map((entry) => {
      const [handle, deliveries, fields] = list(entry);
      return delivery(handle, whole(deliveries), fields);
    }),
  };
}

/** The reply of XREADGROUP for one stream; `null` when nothing came in time. */
export function readNewDeliveries(reply: unknown): Delivery[] {
  if (reply === null) return [];
  const [stream] = list(reply);
  const [, entries] = list(stream);
  return list(entries).map((entry) => {
    const [handle, fields] = list(entry);
    return delivery(handle, 1, fields);
  });
}

export function readCounts(reply: unknown): TopicCounts {
  const [waiting = 0, pending = 0, delayed = 0, dead = 0] = list(reply).map(whole);
  return { waiting, pending, delayed, dead };
}

export function readPeeked(reply: unknown): PeekedJob[] {
  return list(reply).map((entry) => {
    const [deliveries, fields] = list(entry);
    return delivery('', whole(deliveries), fields);
  });
}

/** Members and scores of the set of delayed jobs. */
export function readDelayed(reply: unknown): PeekedJob[] {
  const words = list(reply).map(word);
  const jobs: PeekedJob[] = [];
  for (let index = 0; index + 1 < words.length; index += 2) {
    const [id = '', at, ...payload] = (words[index] ?? '').split('\n');
    const dueAtMs = Number(words[index + 1]);
    const job = { id, payload: payload.join('\n'), deliveries: 0, dueAtMs };
    jobs.push(Object.assign(job, readTimeAndRouting(at)));
  }
  return jobs;
}

export function readCount(reply: unknown): number {
  return whole(reply);
}

/** When it was enqueued, and where it belongs, as they stand in an entry. */
export function timeAndRouting({
  enqueuedAtMs,
  routing,
}: {
  enqueuedAtMs: number;
  routing?: string | undefined;
}): string | number {
  return routing === undefined ? enqueuedAtMs : `${enqueuedAtMs} ${routing}`;
}

function readTimeAndRouting(text = '0'): { enqueuedAtMs: number; routing?: string } {
  const [time, routing] = text.split(' ');
  return { enqueuedAtMs: Number(time), ...(routing !== undefined && { routing }) };
}

/** What a look for due jobs answers: when to look again, and what the topic has beside its stream. */
export function readPromotion(reply: unknown): {
  dueInMs: number;
  partitions: number;
  hasLevels: boolean;
} {
  const [dueInMs, partitions, levels] = list(reply).map(whole);
  return { dueInMs: dueInMs ?? -1, partitions: partitions ?? 0, hasLevels: levels === 1 };
}

/** The handle of a job that is not in the topic's main stream begins with the subqueue it is in. */
export function readTaken(reply: unknown): {
  notify: string;
  newest: string;
  deliveries: Delivery[];
} {
  const [notify, newest, ...taken] = list(reply);
  const deliveries = taken.map((entry) => {
    const [subqueue, id, fields] = list(entry);
    return inSubqueue(word(subqueue), delivery(id, 1, fields));
  });
  return { notify: word(notify), newest: word(newest), deliveries };
}

export function inSubqueue(subqueue: string, taken: Delivery): Delivery {
  return subqueue === '' ? taken : { ...taken, handle: `${subqueue}/${taken.handle}` };
}

/** The subqueue a handle belongs to, and the id it has there. */
export function readHandle(handle: string): { subqueue: string; id: string } {
  const at = handle.indexOf('/');
  return { subqueue: handle.slice(0, Math.max(0, at)), id: handle.slice(at + 1) };
}

/** The reply of XRANGE for dead letters. */
export function readDeadLetters(reply: unknown): DeadLetter[] {
  return list(reply).map((entry) => {
    const [, fields] = list(entry);
    const values = valuesOf(fields);
    return Object.assign(readTimeAndRouting(values.get('at')), {
      id: values.get('id') ?? '',
      payload: values.get('payload') ?? 'null',
      deliveries: Number(values.get('deliveries') ?? 0),
      reason: values.get('reason') ?? '',
      history: historyOf(values.get('history') ?? '[]'),
    });
  });
}

function historyOf(text: string): string[] {
  return list(JSON.parse(text)).map(word);
}

function valuesOf(fields: unknown): Map<string, string> {
  const values = new Map<string, string>();
  const flat = list(fields).map(word);
  for (let index = 0; index + 1 < flat.length; index += 2) {
    values.set(flat[index] ?? '', flat[index + 1] ?? '');
  }
  return values;
}

/** Every delivery comes by here: its fields are read as they come. */
function delivery(handle: unknown, deliveries: number, fields: unknown): Delivery {
  const flat = list(fields);
  let id: string | undefined;
  let at = '0';
  let payload = 'null';
  let history: string[] | undefined;
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const value = word(flat[index + 1]);
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
        history = historyOf(value);
        break;
    }
  }
  const named = word(handle);
  return {
    ...(history && { history }),
    handle: named,
    deliveries,
    id: id ?? named,
    ...readTimeAndRouting(at),
    payload,
  };
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : unexpected(value);
}

function word(value: unknown): string {
  return typeof value === 'string' ? value : unexpected(value);
}

function whole(value: unknown): number {
  return typeof value === 'number' ? value : unexpected(value);
}

function unexpected(value: unknown): never {
  throw new BackendError('denied', `Redis answered in an unknown shape (${typeof value})`);
}
