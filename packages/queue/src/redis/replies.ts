import { BackendError } from '../errors.ts';
import type { DeadLetter, Delivery, PublishReceipt, Recovery } from '../backend.ts';

/** Reading what the scripts and stream commands answer; a reply of another shape is a refusal. */

export function readReceipt(reply: unknown): PublishReceipt {
  const [remembered, alreadyApplied, refused = 0, ...duplicates] = list(reply);
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
  };
}

/** What WAIT (how many replicas) and WAITAOF (how many own disks, how many replicas') answer. */
export function readCopies(reply: unknown): { disks: number; copies: number } {
  if (typeof reply === 'number') return { disks: 0, copies: reply };
  const [disks, copies] = list(reply);
  return { disks: whole(disks), copies: whole(copies) };
}

export function readRecovery(reply: unknown): Recovery {
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

export function readCount(reply: unknown): number {
  return whole(reply);
}

/** The reply of XRANGE for dead letters. */
export function readDeadLetters(reply: unknown): DeadLetter[] {
  return list(reply).map((entry) => {
    const [, fields] = list(entry);
    const values = valuesOf(fields);
    return {
      id: values.get('id') ?? '',
      payload: values.get('payload') ?? 'null',
      enqueuedAtMs: Number(values.get('at') ?? 0),
      deliveries: Number(values.get('deliveries') ?? 0),
      reason: values.get('reason') ?? '',
      history: historyOf(values.get('history') ?? '[]'),
    };
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
    enqueuedAtMs: Number(at),
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
