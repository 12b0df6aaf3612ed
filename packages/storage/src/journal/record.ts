import type { Operation } from './operation.ts';

/** The records of the journal. */
export type LogRecord =
  | {
      readonly kind: 'operation';
      readonly operation: Operation;
      readonly bytes: Uint8Array | undefined;
      /** The backends that have it already, in a rewritten record. */
      readonly settled: readonly string[];
    }
  | { readonly kind: 'settled'; readonly settlements: readonly Settlement[] }
  | { readonly kind: 'progress'; readonly progress: SavedProgress };

/** A backend has every operation of the key up to this generation. */
export interface Settlement {
  readonly backend: string;
  readonly key: string;
  readonly generation: number;
}

export interface SavedProgress {
  readonly backend: string;
  readonly key: string;
  readonly generation: number;
  readonly state: unknown;
}

/**
 * Layout, big-endian:
 *
 *     0  version (1)    1  kind (1 operation, 2 settled, 3 progress)    2  bytes of the head (u32)
 *     6  head as JSON, then the body's bytes if they are inline
 */
const VERSION = 1;
const HEADER_BYTES = 6;
const kinds = ['operation', 'settled', 'progress'] as const;

export function encodeRecord(record: LogRecord): Buffer {
  const body = record.kind === 'operation' ? record.bytes : undefined;
  const head = JSON.stringify(headOf(record));
  const headBytes = Buffer.byteLength(head);
  const encoded = Buffer.allocUnsafe(HEADER_BYTES + headBytes + (body?.byteLength ?? 0));
  encoded.writeUInt8(VERSION, 0);
  encoded.writeUInt8(kinds.indexOf(record.kind) + 1, 1);
  encoded.writeUInt32BE(headBytes, 2);
  encoded.write(head, HEADER_BYTES);
  if (body !== undefined) encoded.set(body, HEADER_BYTES + headBytes);
  return encoded;
}

/** @throws RangeError for a record of another version; the journal has verified its bytes already. */
export function decodeRecord(payload: Uint8Array): LogRecord {
  const encoded = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const version = encoded.readUInt8(0);
  const kind = kinds[encoded.readUInt8(1) - 1];
  const bodyAt = HEADER_BYTES + encoded.readUInt32BE(2);
  const head: unknown = JSON.parse(encoded.toString('utf8', HEADER_BYTES, bodyAt));
  if (version === VERSION && kind === 'operation' && isOperationHead(head)) {
    const { settled, ...operation } = head;
    const bytes = operation.blob === undefined ? encoded.subarray(bodyAt) : undefined;
    return { kind, operation, bytes, settled };
  }
  if (version === VERSION && kind === 'settled' && isSettlements(head)) {
    return { kind, settlements: head };
  }
  if (version === VERSION && kind === 'progress' && isProgress(head))
    return { kind, progress: head };
  throw new RangeError(
    `a journal record has version ${version} and kind ${String(kind)}, this release reads ${VERSION}: ` +
      'drain the journal with the release that wrote it',
  );
}

function headOf(record: LogRecord): unknown {
  if (record.kind === 'operation') return { ...record.operation, settled: record.settled };
  return record.kind === 'settled' ? record.settlements : record.progress;
}

function isOperationHead(value: unknown): value is Operation & { settled: readonly string[] } {
  return isKeyed(value) && 'id' in value && 'kind' in value && 'settled' in value;
}

function isSettlements(value: unknown): value is Settlement[] {
  return Array.isArray(value) && value.every(isKeyed);
}

function isProgress(value: unknown): value is SavedProgress {
  return isKeyed(value) && 'state' in value && 'backend' in value;
}

function isKeyed(value: unknown): value is { key: string; generation: number } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'key' in value &&
    typeof value.key === 'string' &&
    'generation' in value &&
    Number.isSafeInteger(value.generation)
  );
}
