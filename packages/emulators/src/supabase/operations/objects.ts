import { randomUUID } from 'node:crypto';
import type { HttpAnswer } from '../../serving/http-listener.ts';
import {
  type StorageCall,
  bucketOf,
  fieldsOf,
  isUpsert,
  jsonAnswer,
  permit,
  canRead,
  textIn,
  decisionOn,
} from './storage-call.ts';
import { assertValidKey } from './key-rules.ts';
import { rowOf } from './listing.ts';
import { objectOf } from './download.ts';
import { supabaseError } from '../error.ts';
import { metadataIn, pathOf } from './upload.ts';

const MAX_REMOVED_AT_ONCE = 1_000;

export async function removeOne(exchange: StorageCall): Promise<HttpAnswer> {
  permit(exchange, 'delete');
  objectOf(exchange, exchange.key);
  await exchange.store.replace(pathOf(exchange.bucket, exchange.key), undefined);
  return jsonAnswer({ message: 'Successfully deleted' });
}

/** Removes what is there and may be seen; what is not there is passed over. */
export async function removeMany(exchange: StorageCall): Promise<HttpAnswer> {
  const { store, bucket } = exchange;
  const { prefixes } = await fieldsOf(exchange);
  if (!Array.isArray(prefixes)) throw supabaseError('MissingParameter');
  if (prefixes.length > MAX_REMOVED_AT_ONCE) throw supabaseError('InvalidParameter');
  bucketOf(exchange, bucket);
  const rows: unknown[] = [];
  for (const key of prefixes.map(String)) {
    const path = pathOf(bucket, key);
    const object = store.objects.get(path);
    if (object === undefined || !canRead(exchange, bucket, key)) continue;
    if (decisionOn(exchange, 'delete', bucket, key) === 'hidden') continue;
    permit(exchange, 'delete', { key });
    rows.push({ ...rowOf(key, object), bucket_id: bucket });
    await store.replace(path, undefined);
  }
  // A database that takes no writes refuses also the one that would have found nothing.
  if (exchange.disturbances.readOnly) throw supabaseError('DatabaseReadOnly');
  return jsonAnswer(rows);
}

interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly bucket: string;
  readonly target: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

async function transferOf(exchange: StorageCall): Promise<Transfer> {
  const fields = await fieldsOf(exchange);
  const bucket = textIn(fields, 'bucketId');
  const to = textIn(fields, 'destinationKey');
  assertValidKey(to);
  const { destinationBucket } = fields;
  const target = typeof destinationBucket === 'string' ? destinationBucket : bucket;
  return { from: textIn(fields, 'sourceKey'), to, bucket, target, fields };
}

/** Whether a copy or a move may take its place. @throws SupabaseRefusalError */
function permitTarget(exchange: StorageCall, { to, target }: Transfer, upsert: boolean): void {
  bucketOf(exchange, target);
  permit(exchange, 'insert', { bucket: target, key: to });
  if (exchange.store.objects.get(pathOf(target, to)) === undefined) return;
  if (!upsert) throw supabaseError('KeyAlreadyExists');
  permit(exchange, 'update', { bucket: target, key: to });
}

export async function copy(exchange: StorageCall): Promise<HttpAnswer> {
  const { store, clock } = exchange;
  const transfer = await transferOf(exchange);
  const { from, to, bucket, target, fields } = transfer;
  const path = pathOf(target, to);
  permit(exchange, 'select', { bucket, key: from });
  bucketOf(exchange, bucket);
  const source = objectOf({ ...exchange, bucket }, from);
  permitTarget(exchange, transfer, isUpsert(exchange));
  const pieces = await Promise.all(
    source.pieces.map(async ({ blob, size }) => ({
      blob: await store.blobs.duplicate(blob),
      size,
    })),
  );
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
  return jsonAnswer({ ...rowOf(to, object), Id: object.id, Key: path });
}

export async function move(exchange: StorageCall): Promise<HttpAnswer> {
  const { store, clock } = exchange;
  const transfer = await transferOf(exchange);
  const { from, to, bucket, target } = transfer;
  permit(exchange, 'update', { bucket, key: from });
  bucketOf(exchange, bucket);
  const source = objectOf({ ...exchange, bucket }, from);
  if (pathOf(bucket, from) === pathOf(target, to)) {
    return jsonAnswer({ message: 'Successfully moved' });
  }
  permitTarget(exchange, transfer, false);
  const updatedMs = Math.trunc(clock.epochMs());
  store.objects.set(pathOf(target, to), { ...source, version: randomUUID(), updatedMs });
  // Its bytes belong to the other row now.
  store.objects.delete(pathOf(bucket, from));
  return jsonAnswer({ message: 'Successfully moved' });
}
