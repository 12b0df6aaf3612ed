import {
  type BackendResult,
  type BodySource,
  type PutOptions,
  type PutReceipt,
  fail,
  needing,
  ok,
} from '../../backend.ts';
import { partReader } from '../../object/body.ts';
import { stampedMetadata } from '../../object/write-stamp.ts';
import type { WriteForm } from './features.ts';
import type { S3Session } from './session.ts';

/** The saved state of an upload in progress. */
interface Saved {
  readonly uploadId: string;
  readonly operationId: string;
  readonly partBytes: number;
}

interface Part {
  readonly PartNumber: number;
  readonly ETag: string;
}

interface PartialUpload {
  readonly saved: Saved;
  readonly parts: Map<number, Part>;
}

/** S3's limit. */
const MAX_PARTS = 10_000;

/**
 * Sends a large body in parts, one at a time, so that one part is in memory. A saved upload continues after the
 * parts that the server has, so that at most one is sent twice.
 */
export async function putInParts(
  session: S3Session,
  upload: {
    key: string;
    body: BodySource;
    options: PutOptions;
    partBytes: number;
    form: WriteForm;
  },
): Promise<BackendResult<PutReceipt>> {
  const { key, body, options, form } = upload;
  const { signal } = options;
  const { checksums, conditions } = form;
  const found = await resume(session, key, options);
  if (found.kind !== 'ok' && found.kind !== 'notFound') return found;
  const partial = found.kind === 'ok' ? found : await create(session, upload);
  if (partial.kind !== 'ok') return partial;
  const { saved, parts } = partial.value;
  const { uploadId: UploadId, partBytes } = saved;
  const target = { Bucket: session.bucket, Key: key, UploadId };
  const read = partReader(key, body, partBytes);
  const count = Math.ceil(body.size / partBytes);
  for (let number = 1; number <= count; number += 1) {
    if (parts.has(number)) continue;
    const from = (number - 1) * partBytes;
    const to = Math.min(body.size, from + partBytes);
    const part = await read(from, to);
    const sent = await session.send(
      { effect: 'read', signal, bytes: part.byteLength, checksums },
      (client, sdk, sending) =>
        client.send(
          new sdk.UploadPartCommand({ ...target, PartNumber: number, Body: part }),
          sending,
        ),
    );
    if (sent.kind === 'notFound')
      return fail('transient', 'the upload no longer exists; it starts again');
    if (sent.kind !== 'ok') return sent;
    const { ETag } = sent.value;
    if (ETag === undefined) return fail('transient', 'a part was taken without an ETag');
    parts.set(number, { PartNumber: number, ETag });
  }
  const Parts = [...parts.values()].toSorted((left, right) => left.PartNumber - right.PartNumber);
  const completed = await session.send(
    { effect: 'write', signal, checksums },
    (client, sdk, sending) =>
      client.send(
        new sdk.CompleteMultipartUploadCommand({
          ...target,
          MultipartUpload: { Parts },
          ...conditions,
        }),
        sending,
      ),
  );
  // Either an attempt whose response was lost completed it, or somebody aborted it.
  if (completed.kind === 'notFound')
    return fail('unknown', 'the upload no longer exists at its end');
  if (completed.kind !== 'ok') return completed;
  const { ETag } = completed.value;
  return ETag === undefined ? fail('unknown', 'HTTP 200 without an ETag') : ok({ version: ETag });
}

/** Deletes the parts of an upload that will not be finished; the bucket's owner pays for them until then. */
export async function abandonParts(
  session: S3Session,
  key: string,
  saved: unknown,
  signal: AbortSignal,
): Promise<BackendResult<undefined>> {
  if (!isSaved(saved)) return ok(undefined);
  const { uploadId: UploadId } = saved;
  const aborted = await session.send({ effect: 'read', signal }, (client, sdk, sending) =>
    client.send(
      new sdk.AbortMultipartUploadCommand({ Bucket: session.bucket, Key: key, UploadId }),
      sending,
    ),
  );
  if (aborted.kind === 'ok' || aborted.kind === 'notFound') return ok(undefined);
  return needing('s3:AbortMultipartUpload', aborted);
}

/** The server's parts of the saved upload; `notFound` when there is none, or no longer. */
async function resume(
  session: S3Session,
  key: string,
  { progress, stamp, signal }: PutOptions,
): Promise<BackendResult<PartialUpload>> {
  const saved = progress?.saved;
  if (!isSaved(saved) || saved.operationId !== stamp.operationId) {
    return fail('notFound', 'no upload in progress');
  }
  const parts = new Map<number, Part>();
  let after: string | undefined;
  while (true) {
    const marker = after === undefined ? {} : { PartNumberMarker: after };
    const listed = await session.send({ effect: 'read', signal }, (client, sdk, sending) =>
      client.send(
        new sdk.ListPartsCommand({
          Bucket: session.bucket,
          Key: key,
          UploadId: saved.uploadId,
          ...marker,
        }),
        sending,
      ),
    );
    // Without s3:ListMultipartUploadParts it begins anew.
    if (listed.kind === 'denied') return fail('notFound', 'its parts must not be listed');
    if (listed.kind !== 'ok') return listed;
    for (const { PartNumber, ETag } of listed.value.Parts ?? []) {
      if (PartNumber !== undefined && ETag !== undefined)
        parts.set(PartNumber, { PartNumber, ETag });
    }
    after = listed.value.NextPartNumberMarker;
    if (listed.value.IsTruncated !== true || after === undefined) return ok({ saved, parts });
  }
}

async function create(
  session: S3Session,
  { key, body, options, partBytes, form }: Parameters<typeof putInParts>[1],
): Promise<BackendResult<PartialUpload>> {
  const created = await session.send(
    { effect: 'read', signal: options.signal, checksums: form.checksums },
    (client, sdk, sending) =>
      client.send(
        new sdk.CreateMultipartUploadCommand({
          Bucket: session.bucket,
          Key: key,
          ContentType: options.contentType,
          CacheControl: `max-age=${options.maxAgeSeconds}`,
          Metadata: stampedMetadata(options.stamp, options.metadata),
        }),
        sending,
      ),
  );
  if (created.kind !== 'ok') return created;
  const { UploadId } = created.value;
  if (UploadId === undefined) return fail('transient', 'an upload without an id');
  const saved: Saved = {
    uploadId: UploadId,
    operationId: options.stamp.operationId,
    partBytes: Math.max(partBytes, Math.ceil(body.size / MAX_PARTS)),
  };
  await options.progress?.save(saved);
  return ok({ saved, parts: new Map() });
}

function isSaved(value: unknown): value is Saved {
  return (
    typeof value === 'object' &&
    value !== null &&
    'uploadId' in value &&
    typeof value.uploadId === 'string' &&
    'operationId' in value &&
    'partBytes' in value &&
    typeof value.partBytes === 'number'
  );
}
