import { systemClock } from '@holdfast/resilience';
import type { Delivery, PeekedJob, PeekedKind } from '../src/backend.ts';
import { Turns } from '../src/place.ts';

export interface Entry {
  readonly place?: string | undefined;
  readonly handle: string;
  readonly id: string;
  readonly payload: string;
  readonly enqueuedAtMs: number;
  owner?: string;
  leasedAtMs?: number;
  deliveries: number;
  readonly history?: readonly string[];
}

export interface Topic {
  entries: Entry[];
  delayed: { readonly dueAtMs: number; readonly entry: Entry }[];
  marks: Map<string, { owner: number; epoch: number; sequence: number }>;
  ids: Set<string>;
  partitions: number;
  turns: Turns;
}

export function emptyTopic(): Topic {
  return {
    entries: [],
    delayed: [],
    marks: new Map(),
    ids: new Set(),
    partitions: 0,
    turns: new Turns(),
  };
}

/** Makes an entry the consumer's. */
export function hand(entry: Entry, me: string): Delivery {
  if (entry.owner === undefined) entry.deliveries += 1;
  entry.owner = me;
  entry.leasedAtMs = systemClock.now();
  const { handle, id, payload, enqueuedAtMs, deliveries, history, place } = entry;
  const placed = place === undefined ? {} : { place };
  const again = history === undefined ? {} : { history };
  return { handle, id, payload, enqueuedAtMs, deliveries, ...placed, ...again };
}

export function peekInto({ entries, delayed }: Topic, kind: PeekedKind): PeekedJob[] {
  const show = ({ id, payload, enqueuedAtMs, deliveries, place }: Entry): PeekedJob =>
    Object.assign({ id, payload, enqueuedAtMs, deliveries }, place === undefined ? {} : { place });
  if (kind === 'delayed') {
    const inOrder = delayed.toSorted((one, other) => one.dueAtMs - other.dueAtMs);
    return inOrder.map(({ entry, dueAtMs }) => Object.assign(show(entry), { dueAtMs }));
  }
  return entries.filter(({ owner }) => (owner !== undefined) === (kind === 'pending')).map(show);
}
