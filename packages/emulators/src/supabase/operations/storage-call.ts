import type { IncomingMessage } from 'node:http';
import type { Clock } from '@holdfast/foundation';
import type { HttpAnswer } from '../../serving/http-listener.ts';
import {
  type RowAction,
  type RowDecision,
  type StorageRole,
  assertAllowed,
  decideRow,
} from '../access.ts';
import type { ResolvedSupabaseFaults } from '../faults.ts';
import { type SupabaseErrorReason, supabaseError } from '../error.ts';
import type { SupabaseBucket, SupabaseStore } from '../store.ts';

/** What the server was opened with, as far as operations need it. */
export interface StorageSettings {
  readonly jwtSecret: string;
  readonly maxObjectBytes: number;
  readonly maxStandardUploadBytes: number;
  readonly resumableExpiryMs: number;
  readonly signedUploadExpiryMs: number;
}

/** One request, with who makes it, on its way through the server. */
export interface StorageCall {
  readonly message: IncomingMessage;
  readonly method: string;
  /** What lay before the route: `/storage/v1`, or nothing. */
  readonly prefix: string;
  readonly query: URLSearchParams;
  readonly bucket: string;
  readonly key: string;
  readonly role: StorageRole;
  readonly store: SupabaseStore;
  readonly settings: StorageSettings;
  readonly disturbances: ResolvedSupabaseFaults;
  readonly clock: Clock;
  /** Whether the route asks for no token of the caller's, but for one of its own or none. */
  readonly isOpen: boolean;
  /** Told of the body's bytes as they are read. */
  readonly onBytes: (bytes: number) => void;
}

const MAX_JSON_BYTES = 1_048_576;

/** @throws SupabaseRefusalError when the role may not do that to the row. */
export function permit(
  exchange: StorageCall,
  action: RowAction,
  {
    bucket = exchange.bucket,
    key = exchange.key,
    absent = 'NoSuchKey',
  }: { bucket?: string; key?: string; absent?: SupabaseErrorReason } = {},
): void {
  assertAllowed(decisionOn(exchange, action, bucket, key), action, absent);
  if (action !== 'select' && exchange.disturbances.readOnly)
    throw supabaseError('DatabaseReadOnly');
}

/** What the role may do to that row. */
export function decisionOn(
  { disturbances, role }: StorageCall,
  action: RowAction,
  bucket: string,
  key: string,
): RowDecision {
  return decideRow(disturbances.policies, role, action, bucket, key);
}

/** Whether the role sees that row. */
export function canRead(exchange: StorageCall, bucket: string, key: string): boolean {
  return decisionOn(exchange, 'select', bucket, key) === 'allowed';
}

/** @throws SupabaseRefusalError NoSuchBucket */
export function bucketOf({ store }: StorageCall, name: string): SupabaseBucket {
  const bucket = store.buckets.get(name);
  if (bucket === undefined) throw supabaseError('NoSuchBucket');
  return bucket;
}

export function jsonAnswer(value: unknown, status = 200): HttpAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(value),
  };
}

/** The fields of a JSON body. @throws SupabaseRefusalError */
export async function fieldsOf(exchange: StorageCall): Promise<Readonly<Record<string, unknown>>> {
  const body = (await bytesOf(exchange, MAX_JSON_BYTES)).toString('utf8');
  if (body === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw supabaseError('InvalidRequest', 'Body is not valid JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw supabaseError('InvalidRequest', 'body must be object');
  }
  return { ...value };
}

/** @throws SupabaseRefusalError EntityTooLarge */
export async function bytesOf(exchange: StorageCall, maxBytes: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of piecesOf(exchange)) {
    size += piece.length;
    if (size > maxBytes) throw supabaseError('EntityTooLarge');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** A body; not reading it to its end leaves the connection alone. */
export async function* piecesOf({ message, onBytes }: StorageCall): AsyncGenerator<Uint8Array> {
  for await (const piece of message.iterator({ destroyOnReturn: false })) {
    if (!(piece instanceof Uint8Array)) continue;
    onBytes(piece.length);
    yield piece;
  }
}

/** A field that must be text. @throws SupabaseRefusalError MissingParameter */
export function textIn(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw supabaseError('MissingParameter', `Missing Required Parameter ${name}`);
}

export function header({ message }: StorageCall, name: string): string | undefined {
  const value = message.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

export function isUpsert(exchange: StorageCall): boolean {
  return header(exchange, 'x-upsert') === 'true';
}

export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
