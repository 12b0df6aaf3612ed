import { randomUUID } from 'node:crypto';
import type { HttpResponse } from '../../serving/http-listener.ts';
import {
  type StorageCall,
  bucketOf,
  fieldsOf,
  isUpsert,
  jsonResponse,
  requirePermission,
  canRead,
  textIn,
  decisionOn,
} from './storage-call.ts';
import { duplicatePieces } from '../../object-files/pieces.ts';
import { assertValidKey } from './key-rules.ts';
import { rowOf } from './listing.ts';
import { objectOf } from './download.ts';
import { supabaseError } from '../error.ts';
import { metadataIn, pathOf } from './upload.ts';

const MAX_REMOVED_AT_ONCE = 1_000;

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
  if (!Array.isArray(prefixes)) throw supabaseError('MissingParameter');
  if (prefixes.length > MAX_REMOVED_AT_ONCE) throw supabaseError('InvalidParameter');
  bucketOf(call, bucket);
  const rows: unknown[] = [];
  for (const key of prefixes.map(String)) {
    const path = pathOf(bucket, key);
    const object = store.objects.get(path);
    if (object === undefined || !canRead(call, bucket, key)) continue;
    if (decisionOn(call, 'delete', bucket, key) === 'hidden') continue;
    requirePermission(call, 'delete', { key });
    rows.push({ ...rowOf(key, object), bucket_id: bucket });
    await store.replace(path, undefined);
  }
  // A read-only database also rejects a removal that would find nothing.
  if (call.faults.readOnly) throw supabaseError('DatabaseReadOnly');
  return jsonResponse(rows);
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
function permitTarget(call: StorageCall, { to, target }: Transfer, upsert: boolean): void {
  bucketOf(call, target);
  requirePermission(call, 'insert', { bucket: target, key: to });
  if (call.store.objects.get(pathOf(target, to)) === undefined) return;
  if (!upsert) throw supabaseError('KeyAlreadyExists');
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
  const isOwn = fields['copyMetadata'] === false;
  const object = {
    ...source,
    metadata: isOwn ? metadataIn(JSON.stringify(fields['metadata'])) : source.metadata,
    id: before?.id ?? randomUUID(),
    version: randomUUID(),
    createdMs: before?.createdMs ?? now,
    updatedMs: now,
    pieces,
  };
  await store.replace(path, object);
  return jsonResponse({ ...rowOf(to, object), Id: object.id, Key: path });
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
  permitTarget(call, transfer, false);
  const updatedMs = Math.trunc(clock.epochMs());
  store.objects.set(pathOf(target, to), { ...source, version: randomUUID(), updatedMs });
  // The bytes now belong to the new row.
  store.objects.delete(pathOf(bucket, from));
  return jsonResponse({ message: 'Successfully moved' });
}
