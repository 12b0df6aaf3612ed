import { randomUUID } from 'node:crypto';
import { type BackendResult, type PutCondition, fail, ok } from '../../backend.ts';
import { anyKeys, refuseKey } from '../../object/key.ts';
import type { S3Session } from './session.ts';

/** The headers of a condition. */
export interface ConditionHeaders {
  readonly IfMatch?: string;
  readonly IfNoneMatch?: string;
}

/** What a server does with `If-None-Match: *`: check it, accept and ignore it, or refuse the request. */
export type AbsentSupport = 'checked' | 'ignored' | 'refused';

/** The same of `If-Match`, which some servers compare with the ETag without its quotes. */
export type MatchSupport = 'quoted' | 'plain' | 'ignored' | 'refused';

/** The ETag of no object. */
const NO_ETAG = '"00000000000000000000000000000000"';

function unquoted(etag: string): string {
  return etag.replaceAll('"', '');
}

/**
 * The headers of a condition at a server with this support; none where it would refuse them, or where nothing is
 * known of it.
 */
export function conditionHeaders(
  condition: PutCondition,
  support: { absent: AbsentSupport | undefined; match: MatchSupport | undefined },
): ConditionHeaders {
  if (condition === 'none') return {};
  if (condition === 'absent') return support.absent === 'refused' ? {} : { IfNoneMatch: '*' };
  if (support.match === undefined || support.match === 'refused') return {};
  const { version } = condition;
  return { IfMatch: support.match === 'plain' ? unquoted(version) : version };
}

/** What the server does with `If-None-Match: *`. The probe is an object beside the key, removed again. */
export function probeAbsent(
  session: S3Session,
  key: string,
  signal: AbortSignal,
): Promise<BackendResult<AbsentSupport>> {
  return withProbe(session, key, signal, async (put) => {
    const first = await put({ IfNoneMatch: '*' });
    if (first.kind === 'invalid') return ok('refused');
    if (first.kind !== 'ok') return first;
    const second = await put({ IfNoneMatch: '*' });
    if (second.kind === 'conflict') return ok('checked');
    return second.kind === 'ok' ? ok('ignored') : second;
  });
}

/** What the server does with `If-Match`. The probe is an object beside the key, removed again. */
export function probeMatch(
  session: S3Session,
  key: string,
  signal: AbortSignal,
): Promise<BackendResult<MatchSupport>> {
  return withProbe(session, key, signal, async (put) => {
    const created = await put({});
    if (created.kind !== 'ok') return created;
    const etag = created.value.ETag ?? '';
    const other = await put({ IfMatch: NO_ETAG });
    if (other.kind === 'invalid') return ok('refused');
    if (other.kind === 'ok') return ok('ignored');
    if (other.kind !== 'conflict') return other;
    for (const form of ['quoted', 'plain'] as const) {
      const same = await put({ IfMatch: form === 'plain' ? unquoted(etag) : etag });
      if (same.kind === 'ok') return ok(form);
      if (same.kind !== 'conflict' && same.kind !== 'invalid') return same;
    }
    return ok('refused');
  });
}

/**
 * Whether the client may read an object that it may write. The probe is an object beside the key, removed again.
 */
export function probeRead(
  session: S3Session,
  key: string,
  signal: AbortSignal,
): Promise<BackendResult<boolean>> {
  return withProbe(session, key, signal, async (put, target) => {
    const created = await put({});
    if (created.kind !== 'ok') return created;
    const read = await headOfProbe(session, target, signal);
    if (read.kind === 'denied') return ok(false);
    return read.kind === 'ok' ? ok(true) : read;
  });
}

/** Whether the server denies the read of an object that does not exist: so it answers without `s3:ListBucket`. */
export async function probeAbsence(
  session: S3Session,
  key: string,
  signal: AbortSignal,
): Promise<BackendResult<boolean>> {
  const read = await headOfProbe(session, probeBeside(session, key), signal);
  if (read.kind === 'denied') return ok(true);
  return read.kind === 'ok' || read.kind === 'notFound' ? ok(false) : read;
}

interface ProbeTarget {
  readonly Bucket: string;
  readonly Key: string;
}

function headOfProbe(
  session: S3Session,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<BackendResult<unknown>> {
  return session.send({ effect: 'read', signal }, (client, sdk, sending) =>
    client.send(new sdk.HeadObjectCommand(target), sending),
  );
}

/** The probe's key begins with the user's own, so that rights for a prefix permit it. */
function probeBeside({ bucket }: S3Session, key: string): ProbeTarget {
  return { Bucket: bucket, Key: `${key}.holdfast-probe-${randomUUID()}` };
}

type PutProbe = (
  headers: ConditionHeaders,
) => Promise<BackendResult<{ ETag?: string | undefined }>>;

async function withProbe<Support>(
  session: S3Session,
  key: string,
  signal: AbortSignal,
  probe: (put: PutProbe, target: ProbeTarget) => Promise<BackendResult<Support>>,
): Promise<BackendResult<Support>> {
  const target = probeBeside(session, key);
  if (refuseKey(target.Key, anyKeys) !== undefined)
    return fail('invalid', 'the key leaves no room');
  // Conditions are probed by themselves: a server may refuse checksums.
  const call = { effect: 'read', signal, checksums: false } as const;
  let mayBeStored = false;
  let isInDoubt = false;
  const result = await probe(async (headers) => {
    const sent = await session.send(call, (client, sdk, sending) =>
      client.send(new sdk.PutObjectCommand({ ...target, Body: 'probe', ...headers }), sending),
    );
    isInDoubt ||= isUnanswered(sent);
    mayBeStored ||= sent.kind === 'ok' || isInDoubt;
    return sent;
  }, target);
  if (mayBeStored && (!(await removeProbe(session, target.Key)) || isInDoubt)) {
    session.leftProbes.add(target.Key);
  }
  return result;
}

function isUnanswered({ kind }: BackendResult<unknown>): boolean {
  return kind === 'transient' || kind === 'unknown';
}

/** Removes a probe, whoever has given up meanwhile. Resolves with false when that is to be tried again. */
async function removeProbe(session: S3Session, key: string): Promise<boolean> {
  const { signal } = new AbortController();
  const target = { Bucket: session.bucket, Key: key };
  const sent = await session.send(
    { effect: 'read', signal, checksums: false },
    (client, sdk, sending) => client.send(new sdk.DeleteObjectCommand(target), sending),
  );
  return !isUnanswered(sent);
}

/** Removes what earlier probes have left, now that the server takes writes. */
export async function sweepProbes(session: S3Session): Promise<void> {
  await session.leftProbes.sweep((key) => removeProbe(session, key));
}
