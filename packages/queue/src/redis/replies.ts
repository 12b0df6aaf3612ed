import { BackendError } from '../errors.ts';
import type {
  DeadLetter,
  Delivery,
  PeekedJob,
  PublishReceipt,
  RecoveredDeliveries,
  TopicCounts,
} from '../backend.ts';

/** Parsers for the replies of the scripts and stream commands. An unexpected reply is `denied`. */

export function parseReceipt(reply: unknown): PublishReceipt {
  const [remembered, alreadyApplied, refused = 0, poison = [], ...duplicates] = list(reply);
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
    ...poisonOf(poison),
  };
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

export function parseRecovered(reply: unknown): RecoveredDeliveries {
  const [lost, taken] = list(reply);
  return {
    lost: list(lost).map(text),
    deliveries: list(taken).map((entry) => {
      const [handle, deliveries, fields] = list(entry);
      return delivery(handle, integer(deliveries), fields);
    }),
  };
}

/** The reply of XREADGROUP for one stream; `null` after its timeout. */
export function parseNewDeliveries(reply: unknown): Delivery[] {
  if (reply === null) return [];
  const [stream] = list(reply);
  const [, entries] = list(stream);
  return list(entries).map((entry) => {
    const [handle, fields] = list(entry);
    return delivery(handle, 1, fields);
  });
}

export function parseCounts(reply: unknown): TopicCounts {
  const [waiting = 0, pending = 0, delayed = 0, dead = 0] = list(reply).map(integer);
  return { waiting, pending, delayed, dead };
}

export function parsePeeked(reply: unknown): PeekedJob[] {
  return list(reply).map((entry) => {
    const [deliveries, fields] = list(entry);
    return delivery('', integer(deliveries), fields);
  });
}

/** Members and scores of the set of delayed jobs. */
export function parseDelayed(reply: unknown): PeekedJob[] {
  const values = list(reply).map(text);
  const jobs: PeekedJob[] = [];
  for (let index = 0; index + 1 < values.length; index += 2) {
    const [id = '', at, ...payload] = (values[index] ?? '').split('\n');
    const dueAtMs = Number(values[index + 1]);
    const job = { id, payload: payload.join('\n'), deliveries: 0, dueAtMs };
    jobs.push(Object.assign(job, parseTimeAndRouting(at)));
  }
  return jobs;
}

export function parseCount(reply: unknown): number {
  return integer(reply);
}

/** The value of the field `at`: when the job was enqueued, and its routing. */
export function timeAndRouting({
  enqueuedAtMs,
  routing,
}: {
  enqueuedAtMs: number;
  routing?: string | undefined;
}): string | number {
  return routing === undefined ? enqueuedAtMs : `${enqueuedAtMs} ${routing}`;
}

function parseTimeAndRouting(value = '0'): { enqueuedAtMs: number; routing?: string } {
  const [time, routing] = value.split(' ');
  return { enqueuedAtMs: Number(time), ...(routing !== undefined && { routing }) };
}

/** The reply of the promote script: when to run it again, and which subqueues the topic has. */
export function parsePromotion(reply: unknown): {
  dueInMs: number;
  partitions: number;
  hasLevels: boolean;
} {
  const [dueInMs, partitions, levels] = list(reply).map(integer);
  return { dueInMs: dueInMs ?? -1, partitions: partitions ?? 0, hasLevels: levels === 1 };
}

/** The handle of a job in a subqueue begins with the name of the subqueue. */
export function parseTaken(reply: unknown): {
  notified: string;
  newest: string;
  deliveries: Delivery[];
} {
  const [notified, newest, ...taken] = list(reply);
  const deliveries = taken.map((entry) => {
    const [subqueue, id, fields] = list(entry);
    return inSubqueue(text(subqueue), delivery(id, 1, fields));
  });
  return { notified: text(notified), newest: text(newest), deliveries };
}

export function inSubqueue(subqueue: string, taken: Delivery): Delivery {
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
    return Object.assign(parseTimeAndRouting(values.get('at')), {
      id: values.get('id') ?? '',
      payload: values.get('payload') ?? 'null',
      deliveries: Number(values.get('deliveries') ?? 0),
      reason: values.get('reason') ?? '',
      history: parseHistory(values.get('history') ?? '[]'),
    });
  });
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
    }
  }
  const name = text(handle);
  return {
    ...(history && { history }),
    handle: name,
    deliveries,
    id: id ?? name,
    ...parseTimeAndRouting(at),
    payload,
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
