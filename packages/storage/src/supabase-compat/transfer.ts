import { InvalidOptionError } from '@holdfast/foundation';
import { keptMaxAge } from '../object/cache-control.ts';
import type { Storage } from '../storage.ts';
import { readOptions } from './options.ts';
import { inCallOrder, placeAt } from './call-order.ts';
import { checkBeforeWrite, forgetBucket } from './preconditions.ts';

/** The options of supabase-js for `copy`. */
export interface BucketCopyOptions {
  /** Another bucket of the same `storageClient`. */
  destinationBucket?: string;
  /** As for an upload. */
  upsert?: boolean;
  /** Default true. `false`: the copy has `metadata`, and none of the metadata of its source. */
  copyMetadata?: boolean;
  /** With `copyMetadata: false`, in place of what the source says; it is not metadata of the user. */
  metadata?: {
    /** The whole header, such as `max-age=3600`. */
    cacheControl?: string;
    /** The media type of the copy. Default: that of the source. */
    mimetype?: string;
  };
}

/** A copy or a move. */
export interface Transfer {
  readonly call: 'copy' | 'move';
  readonly storage: Storage;
  readonly from: string;
  readonly target: Storage;
  readonly targetBucket: string;
  readonly to: string;
  readonly upsert: boolean;
}

/** @throws the errors of `download` and `upload`, ObjectExistsError, BucketAbsentError */
export async function copyObject(
  { call, storage, from, target, targetBucket, to, upsert }: Transfer,
  { copyMetadata = true, metadata }: BucketCopyOptions,
): Promise<void> {
  const replaced = copyMetadata ? {} : readOptions('copy metadata', metadata);
  const { cacheControl: given } = replaced;
  if (given !== undefined && keptMaxAge(given).maxAgeSeconds === undefined) {
    throw new InvalidOptionError('copy', 'metadata.cacheControl', given, 'such as max-age=3600');
  }
  // Before the bytes are read, so that a refusal costs nothing.
  const check = { call, storage: target, bucket: targetBucket, key: to, upsert };
  const before = () => checkBeforeWrite(check);
  const places = isItself({ storage, from, target, to }) ? [] : [placeAt(storage, from, 'copy')];
  places.push(placeAt(target, to));
  const { stored } = await inCallOrder(places, before, () =>
    storage.copy(from, to, {
      target,
      ...(replaced.mimetype !== undefined && { contentType: replaced.mimetype }),
      ...(!copyMetadata && { metadata: {} }),
      ...keptMaxAge(given),
    }),
  );
  if (stored !== 'primary') forgetBucket(target);
}

/** @throws the errors of `move`, ObjectExistsError, BucketAbsentError */
export async function moveObject(transfer: Transfer): Promise<void> {
  const { call, storage, from, target, targetBucket, to, upsert } = transfer;
  const isSame = isItself(transfer);
  const check = { call, storage: target, bucket: targetBucket, key: to, upsert };
  const places = [placeAt(storage, from), ...(isSame ? [] : [placeAt(target, to)])];
  const before = async () => isSame || checkBeforeWrite(check);
  await inCallOrder(places, before, () => storage.move(from, to, { target }));
}

function isItself({
  storage,
  from,
  target,
  to,
}: Pick<Transfer, 'storage' | 'from' | 'target' | 'to'>): boolean {
  return target === storage && from === to;
}
