import { randomUUID } from 'node:crypto';
import type { HttpResponse } from '../../serving/http-listener.ts';
import {
  type StorageCall,
  bucketOf,
  fieldsOf,
  isUpsert,
  jsonResponse,
  missingField,
  requirePermission,
  canRead,
  textIn,
  decisionOn,
} from './storage-call.ts';
import { duplicatePieces } from '../../object-files/pieces.ts';
import { assertValidKey } from './key-rules.ts';
import { rowOf } from './listing.ts';
import { objectOf } from './download.ts';
import { SupabaseError, supabaseError } from '../error.ts';
import type { SupabaseObject } from '../store.ts';
import { pathOf } from './upload.ts';

export async function removeOne(call: StorageCall): Promise<HttpResponse> {
  requirePermission(call, 'delete');
  objectOf(call, call.key);
  await call.store.replace(pathOf(call.bucket, call.key), undefined);
  return jsonResponse({ message: 'Successfully deleted' });
}

/** Removes the objects that exist and are readable; ignores all others. */
export async function removeMany(call: StorageCall): Promise<HttpResponse> {
  const { store, bucket } = call;
  const { prefixes } = await fieldsOf(call);
  const listed = keysIn(prefixes);
  const rows: unknown[] = [];
  for (const key of listed) {
    const path = pathOf(bucket, key);
    const object = store.objects.get(path);
    if (object === undefined || !canRead(call, bucket, key)) continue;
    if (decisionOn(call, 'delete', bucket, key) === 'hidden') continue;
    requirePermission(call, 'delete', { key });
    const user_metadata: unknown = JSON.parse(object.metadata);
    const owners = { bucket_id: bucket, owner: '', owner_id: '' };
    rows.push({ ...rowOf(key, object), ...owners, user_metadata });
    await store.replace(path, undefined);
  }
  // A read-only database also rejects a removal that would find nothing.
  if (call.faults.readOnly) throw supabaseError('DatabaseReadOnly');
  return jsonResponse(rows);
}

/** An absent bucket is no error: nothing of it exists. @throws SupabaseError InvalidRequest */
function keysIn(prefixes: unknown): readonly string[] {
  if (prefixes === undefined) throw missingField('prefixes');
  const listed: readonly unknown[] = Array.isArray(prefixes) ? prefixes : [prefixes];
  if (listed.length === 0) {
    throw supabaseError('InvalidRequest', 'body/prefixes must NOT have fewer than 1 items');
  }
  return listed.map((key, at) => {
    if (typeof key === 'string') return key;
    throw supabaseError('InvalidRequest', `body/prefixes/${at} must be string`);
  });
}

interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly bucket: string;
  readonly target: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

async function transferOf(call: StorageCall): Promise<Transfer> {
  const fields = await fieldsOf(call);
  const bucket = textIn(fields, 'bucketId');
  const to = textIn(fields, 'destinationKey');
  assertValidKey(to);
  const { destinationBucket } = fields;
  const target = typeof destinationBucket === 'string' ? destinationBucket : bucket;
  return { from: textIn(fields, 'sourceKey'), to, bucket, target, fields };
}

/** Checks the target of a copy or a move. @throws SupabaseError */
function permitTarget(
  call: StorageCall,
  { to, target }: Transfer,
  upsert: boolean,
  taken: 'KeyAlreadyExists' | 'ResourceAlreadyExists' = 'KeyAlreadyExists',
): void {
  if (call.store.buckets.get(target) === undefined) {
    throw new SupabaseError(404, 'InvalidRequest', 'The related resource does not exist', 'Error');
  }
  requirePermission(call, 'insert', { bucket: target, key: to });
  if (call.store.objects.get(pathOf(target, to)) === undefined) return;
  if (!upsert) throw supabaseError(taken);
  requirePermission(call, 'update', { bucket: target, key: to });
}

export async function copy(call: StorageCall): Promise<HttpResponse> {
  const { store, clock } = call;
  const transfer = await transferOf(call);
  const { from, to, bucket, target, fields } = transfer;
  const path = pathOf(target, to);
  requirePermission(call, 'select', { bucket, key: from });
  bucketOf(call, bucket);
  const source = objectOf({ ...call, bucket }, from);
  permitTarget(call, transfer, isUpsert(call));
  const pieces = await duplicatePieces(store.blobs, source.pieces);
  const now = Math.trunc(clock.epochMs());
  const before = store.objects.get(path);
  const object = {
    ...source,
    ...replacedMetadata(fields, source),
    id: before?.id ?? randomUUID(),
    version: randomUUID(),
    createdMs: before?.createdMs ?? now,
    updatedMs: now,
    pieces,
  };
  await store.replace(path, object);
  return jsonResponse({ ...rowOf(to, object), Id: object.id, Key: path });
}

/** The metadata of a copy: its source's, or what replaces it. */
function replacedMetadata(
  { copyMetadata, metadata }: Readonly<Record<string, unknown>>,
  source: SupabaseObject,
): Pick<SupabaseObject, 'contentType' | 'cacheControl' | 'metadata'> {
  const { contentType, cacheControl } = source;
  if (copyMetadata !== false) return { contentType, cacheControl, metadata: source.metadata };
  const given = new Map<string, unknown>(Object.entries(Object(metadata)));
  const [type, cache] = [given.get('mimetype'), given.get('cacheControl')];
  return {
    contentType: typeof type === 'string' ? type : contentType,
    cacheControl: typeof cache === 'string' ? cache : cacheControl,
    metadata: 'null',
  };
}

export async function move(call: StorageCall): Promise<HttpResponse> {
  const { store, clock } = call;
  const transfer = await transferOf(call);
  const { from, to, bucket, target } = transfer;
  requirePermission(call, 'update', { bucket, key: from });
  bucketOf(call, bucket);
  const source = objectOf({ ...call, bucket }, from);
  if (pathOf(bucket, from) === pathOf(target, to)) {
    return jsonResponse({ message: 'Successfully moved' });
  }
  permitTarget(call, transfer, false, 'ResourceAlreadyExists');
  const updatedMs = Math.trunc(clock.epochMs());
  store.objects.set(pathOf(target, to), { ...source, version: randomUUID(), updatedMs });
  // The bytes now belong to the new row.
  store.objects.delete(pathOf(bucket, from));
  return jsonResponse({ message: 'Successfully moved' });
}
