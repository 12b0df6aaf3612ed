import type { Journal } from '@holdfast/journal';
import type { Operation, UnfinishedWrites } from './operation.ts';
import { decodeRecord } from './record.ts';

const RECORDS_AT_ONCE = 500;
const BYTES_AT_ONCE = 4_194_304;

interface RecoveredOperation {
  readonly operation: Operation;
  readonly sequence: number;
  readonly settled: Set<string>;
}

/** The content of the journal by key, with the sequences of its operations. */
export interface Recovered {
  readonly unfinished: readonly UnfinishedWrites[];
  /** Operations that not every backend has, and those that they supersede. */
  readonly held: readonly RecoveredOperation[];
  /** The highest generation; `undefined` when there is no write. */
  readonly generation: number | undefined;
  /** The sequence of the operation with it. */
  readonly lastSequence: number | undefined;
}

/** Reads the journal from its oldest record to its end. */
export async function recover(journal: Journal, backends: readonly string[]): Promise<Recovered> {
  const operations = new Map<string, Map<number, RecoveredOperation>>();
  const settled = new Map<string, Map<string, number>>();
  const progress = new Map<string, Map<string, { generation: number; state: unknown }>>();
  let last: { readonly generation: number; readonly sequence: number } | undefined;

  const settle = (key: string, backend: string, upTo: number): void => {
    const ofKey = nested(settled, key);
    ofKey.set(backend, Math.max(upTo, ofKey.get(backend) ?? 0));
  };

  let from = journal.first;
  while (true) {
    const limits = { maxRecords: RECORDS_AT_ONCE, maxBytes: BYTES_AT_ONCE };
    const records = await journal.read(from, limits);
    const end = records.at(-1);
    if (end === undefined) break;
    from = end.sequence + 1;
    for (const { sequence, payload } of records) {
      const record = decodeRecord(payload);
      if (record.kind === 'operation') {
        const { operation } = record;
        const { generation } = operation;
        if (generation >= (last?.generation ?? 0)) last = { generation, sequence };
        const found = { operation, sequence, settled: new Set(record.settled) };
        nested(operations, operation.key).set(operation.generation, found);
        for (const backend of record.settled) {
          settle(operation.key, backend, operation.generation);
        }
      } else if (record.kind === 'settled') {
        for (const one of record.settlements) settle(one.key, one.backend, one.generation);
      } else {
        const { key, backend, ...rest } = record.progress;
        nested(progress, key).set(backend, rest);
      }
    }
  }

  const unfinished: UnfinishedWrites[] = [];
  const held: RecoveredOperation[] = [];
  for (const [key, ofKey] of operations) {
    const done = nested(settled, key);
    const everywhere = Math.min(...backends.map((backend) => done.get(backend) ?? 0));
    const open = [...ofKey.values()]
      .filter(({ operation }) => operation.generation > everywhere)
      .toSorted((left, right) => left.operation.generation - right.operation.generation);
    const newest = open.pop();
    if (newest === undefined) continue;
    for (const [backend, upTo] of done) {
      if (upTo >= newest.operation.generation) newest.settled.add(backend);
    }
    // Superseded operations are kept too: a server may still apply one of them.
    held.push(...open, newest);
    unfinished.push({
      newest: newest.operation,
      superseded: open.map(({ operation }) => operation),
      settled: done,
      progress: progress.get(key) ?? new Map(),
    });
  }
  held.sort((left, right) => left.sequence - right.sequence);
  return { unfinished, held, generation: last?.generation, lastSequence: last?.sequence };
}

function nested<K, L, V>(maps: Map<K, Map<L, V>>, key: K): Map<L, V> {
  const found = maps.get(key);
  if (found !== undefined) return found;
  const made = new Map<L, V>();
  maps.set(key, made);
  return made;
}
