import type { IncomingMessage } from 'node:http';
import type { Clock } from '@holdfast/foundation';
import { bodyChunks, readBytes } from '../../serving/body.ts';
import type { HttpResponse } from '../../serving/http-listener.ts';
import {
  type RowAction,
  type RowDecision,
  type StorageRole,
  assertAllowed,
  decideRow,
} from '../access.ts';
import type { ResolvedSupabaseFaults } from '../faults.ts';
import { type SupabaseError, type SupabaseErrorReason, supabaseError } from '../error.ts';
import type { SupabaseBucket, SupabaseStore } from '../store.ts';

/** The options of the server that operations need. */
interface StorageOptions {
  readonly jwtSecret: string;
  readonly maxObjectBytes: number;
  readonly maxStandardUploadBytes: number;
  readonly resumableExpiryMs: number;
  readonly signedUploadExpiryMs: number;
}

/** A request, the role of its caller, and what its operation needs. */
export interface StorageCall {
  readonly message: IncomingMessage;
  readonly method: string;
  /** The path before the route: `/storage/v1` or empty. */
  readonly prefix: string;
  readonly query: URLSearchParams;
  readonly bucket: string;
  readonly key: string;
  readonly role: StorageRole;
  readonly store: SupabaseStore;
  readonly options: StorageOptions;
  readonly faults: ResolvedSupabaseFaults;
  readonly clock: Clock;
  /** Whether the route needs no token of the caller: it has a token of its own, or none. */
  readonly isOpen: boolean;
  /** Called with the number of bytes of the body as they are read. */
  readonly onBytes: (bytes: number) => void;
}

const MAX_JSON_BYTES = 1_048_576;

/** @throws SupabaseError when the role may not do that to the row. */
export function requirePermission(
  call: StorageCall,
  action: RowAction,
  {
    bucket = call.bucket,
    key = call.key,
    absent = 'NoSuchKey',
  }: { bucket?: string; key?: string; absent?: SupabaseErrorReason } = {},
): void {
  assertAllowed(decisionOn(call, action, bucket, key), action, absent);
  if (action !== 'select' && call.faults.readOnly) throw supabaseError('DatabaseReadOnly');
}

/** Whether the role may do that to the row. */
export function decisionOn(
  { faults, role }: StorageCall,
  action: RowAction,
  bucket: string,
  key: string,
): RowDecision {
  return decideRow(faults.policies, role, action, bucket, key);
}

/** Whether the role may read the row. */
export function canRead(call: StorageCall, bucket: string, key: string): boolean {
  return decisionOn(call, 'select', bucket, key) === 'allowed';
}

/** @throws SupabaseError NoSuchBucket */
export function bucketOf({ store }: StorageCall, name: string): SupabaseBucket {
  const bucket = store.buckets.get(name);
  if (bucket === undefined) throw supabaseError('NoSuchBucket');
  return bucket;
}

export function jsonResponse(value: unknown, status = 200): HttpResponse {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(value),
  };
}

/** The fields of a JSON body. @throws SupabaseError */
export async function fieldsOf(call: StorageCall): Promise<Readonly<Record<string, unknown>>> {
  const body = (await bytesOf(call, MAX_JSON_BYTES)).toString('utf8');
  if (body === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw supabaseError(
      'InvalidRequest',
      "Body is not valid JSON but content-type is set to 'application/json'",
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw supabaseError('InvalidRequest', 'body must be object');
  }
  return { ...value };
}

/** @throws SupabaseError EntityTooLarge */
export function bytesOf(call: StorageCall, maxBytes: number): Promise<Buffer> {
  return readBytes(chunksOf(call), maxBytes, () => supabaseError('EntityTooLarge'));
}

/** The body. A consumer that stops early leaves the connection open. */
export function chunksOf({ message, onBytes }: StorageCall): AsyncGenerator<Uint8Array> {
  return bodyChunks(message, onBytes);
}

/** A string field. @throws SupabaseError InvalidRequest */
export function textIn(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw missingField(name);
}

/** The error of a body without a field, in the words of the real server's schema. */
export function missingField(name: string): SupabaseError {
  return supabaseError('InvalidRequest', `body must have required property '${name}'`);
}

export function header({ message }: StorageCall, name: string): string | undefined {
  const value = message.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

export function isUpsert(call: StorageCall): boolean {
  return header(call, 'x-upsert') === 'true';
}

export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
