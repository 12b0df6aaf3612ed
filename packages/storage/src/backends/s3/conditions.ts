import { randomUUID } from 'node:crypto';
import { type BackendResult, type PutCondition, ok } from '../../backend.ts';
import type { S3Session } from './session.ts';

/** The headers of a condition. */
export function conditionHeaders(condition: PutCondition): {
  IfMatch?: string;
  IfNoneMatch?: string;
} {
  if (condition === 'none') return {};
  return condition === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: condition.version };
}

/**
 * Whether this server checks the conditions of a write: several servers accept and ignore them. It is probed
 * with an object of its own, which is removed again.
 */
export async function honoursConditions(
  session: S3Session,
  signal: AbortSignal,
): Promise<BackendResult<boolean>> {
  const Key = `.holdfast-probe/${randomUUID()}`;
  const create = () =>
    session.send({ effect: 'read', signal }, (client, sdk, sending) =>
      client.send(
        new sdk.PutObjectCommand({ Bucket: session.bucket, Key, Body: 'probe', IfNoneMatch: '*' }),
        sending,
      ),
    );
  const first = await create();
  if (first.kind !== 'ok') return first;
  const second = await create();
  await session.send({ effect: 'read', signal }, (client, sdk, sending) =>
    client.send(new sdk.DeleteObjectCommand({ Bucket: session.bucket, Key }), sending),
  );
  if (second.kind !== 'ok' && second.kind !== 'conflict') return second;
  return ok(second.kind === 'conflict');
}
