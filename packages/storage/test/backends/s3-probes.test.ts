import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { type BackendResult, fail, ok } from '../../src/backend.ts';
import { S3Absence } from '../../src/backends/s3/absence.ts';
import {
  conditionHeaders,
  probeAbsence,
  probeAbsent,
  probeMatch,
  probeRead,
} from '../../src/backends/s3/conditions.ts';
import { S3Session } from '../../src/backends/s3/session.ts';

const { signal } = new AbortController();
const ETAG = '"0123456789abcdef"';

interface Asked {
  readonly method: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
}
/** The code of an error that answers the request; `undefined`: a success. */
type Rule = (asked: Asked, isThere: boolean, number: number) => string | undefined;

const statuses: Readonly<Record<string, number>> = {
  PreconditionFailed: 412,
  NotImplemented: 501,
  InvalidArgument: 400,
  SlowDown: 503,
  AccessDenied: 403,
  NoSuchKey: 404,
};

/** The session of a client whose requests are answered by a rule, without a socket. */
function sessionAt(rule: Rule): {
  readonly session: S3Session;
  readonly asked: Asked[];
  readonly objects: Set<string>;
} {
  const asked: Asked[] = [];
  const objects = new Set<string>();
  const handle = async (request: Omit<Asked, 'key'> & { path: string }) => {
    const key = decodeURIComponent(request.path.slice('/b/'.length));
    const { method } = request;
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
    asked.push({ method, key, headers });
    const code = rule({ method, key, headers }, objects.has(key), asked.length);
    const isEmpty = method === 'HEAD' || code === undefined;
    const body = Readable.from(isEmpty ? [] : [`<Error><Code>${code}</Code></Error>`]);
    if (code === undefined && method === 'PUT') objects.add(key);
    if (code === undefined && method === 'DELETE') objects.delete(key);
    const statusCode = code === undefined ? 200 : (statuses[code] ?? 500);
    return { response: { statusCode, headers: { etag: ETAG }, body } };
  };
  const client = new S3Client({
    endpoint: 'http://s3.test',
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestHandler: { handle, metadata: { handlerProtocol: 'http/1.1' } },
  });
  const limits = { requestTimeoutMs: 30_000, minBytesPerSecond: 1_000 };
  const session = new S3Session({ client, bucket: 'b', clock: systemClock, ...limits });
  return { session, asked, objects };
}

/** A server that compares `If-Match` in this form. */
const comparing =
  (etag: string, other = 'PreconditionFailed'): Rule =>
  ({ headers: { 'if-match': match } }) =>
    match === undefined || match === etag ? undefined : other;
/** The server fails at the request of this number. */
const failingAt =
  (number: number, rule: Rule): Rule =>
  (asked, isThere, at) =>
    at === number ? 'SlowDown' : rule(asked, isThere, at);
const nothing: Rule = () => undefined;
const checking: Rule = ({ headers }, isThere) =>
  headers['if-none-match'] === '*' && isThere ? 'PreconditionFailed' : undefined;
const refusing: Rule = ({ headers }) =>
  (headers['if-none-match'] ?? headers['if-match']) === undefined ? undefined : 'NotImplemented';

const shown = (result: BackendResult<unknown>): unknown =>
  result.kind === 'ok' ? result.value : result.kind;

test.each([
  ['checks it', checking, 'checked'],
  ['ignores it', nothing, 'ignored'],
  ['refuses it', refusing, 'refused'],
  ['fails at first', failingAt(1, checking), 'transient'],
  ['fails then', failingAt(2, checking), 'transient'],
  ['denies it', () => 'AccessDenied', 'denied'],
])('a server that %s: what it does with If-None-Match is found out', async (_, rule, expected) => {
  const { session, asked, objects } = sessionAt(rule);
  expect(shown(await probeAbsent(session, 'folder/k', signal))).toBe(expected);
  expect([...objects]).toEqual([]);
  for (const { key } of asked) expect(key).toMatch(/^folder\/k\.holdfast-probe-./);
  const sent = asked.flatMap(({ headers }) => Object.keys(headers));
  expect(sent.filter((name) => name.startsWith('x-amz-checksum'))).toEqual([]);
});

test.each([
  ['compares it as it is', comparing(ETAG), 'quoted'],
  ['compares it without quotes', comparing(ETAG.replaceAll('"', '')), 'plain'],
  ['ignores it', nothing, 'ignored'],
  ['refuses it', refusing, 'refused'],
  ['never finds it the same', comparing('never'), 'refused'],
  ['fails at first', failingAt(1, comparing(ETAG)), 'transient'],
  ['fails at another ETag', failingAt(2, comparing(ETAG)), 'transient'],
  ['fails at the same ETag', failingAt(3, comparing(ETAG)), 'transient'],
  ['denies it', () => 'AccessDenied', 'denied'],
])('a server that %s: what it does with If-Match is found out', async (_, rule, expected) => {
  const { session, objects } = sessionAt(rule);
  expect(shown(await probeMatch(session, 'k', signal))).toBe(expected);
  expect([...objects]).toEqual([]);
});

test('an ETag in quotes that is refused as malformed is tried without them', async () => {
  const { session } = sessionAt(({ headers: { 'if-match': match } }, _, number) => {
    if (number === 2) return 'PreconditionFailed';
    return match?.includes('"') === true ? 'InvalidArgument' : undefined;
  });
  expect(shown(await probeMatch(session, 'k', signal))).toBe('plain');
});

test('a key that leaves no room for a probe is not probed', async () => {
  const { session, asked } = sessionAt(nothing);
  expect(shown(await probeAbsent(session, 'k'.repeat(1_020), signal))).toBe('invalid');
  expect(asked).toEqual([]);
});

test.each([
  ['may be read', nothing, true],
  ['may not be read', denyingReads, false],
  ['cannot be read now', ({ method }) => (method === 'HEAD' ? 'SlowDown' : undefined), 'transient'],
  ['cannot be written', () => 'AccessDenied', 'denied'],
] satisfies [string, Rule, unknown][])(
  'an object of our own that %s tells whether reads are permitted',
  async (_, rule, expected) => {
    const { session, objects } = sessionAt(rule);
    expect(shown(await probeRead(session, 'k', signal))).toBe(expected);
    expect([...objects]).toEqual([]);
  },
);

test.each([
  ['denied', () => 'AccessDenied', true],
  ['not found', () => 'NoSuchKey', false],
  ['found', nothing, false],
  ['failing', () => 'SlowDown', 'transient'],
] satisfies [string, Rule, unknown][])(
  'the read of an object that cannot exist, %s, tells how absence is answered',
  async (_, rule, expected) => {
    expect(shown(await probeAbsence(sessionAt(rule).session, 'k', signal))).toBe(expected);
  },
);

test('the headers of a condition are those that the server understands', () => {
  const version = ETAG;
  const headers = (absent: 'checked' | 'ignored' | 'refused' | undefined): unknown =>
    conditionHeaders('absent', { absent, match: undefined });
  expect(conditionHeaders('none', { absent: 'checked', match: 'quoted' })).toEqual({});
  for (const support of ['checked', 'ignored', undefined] as const) {
    expect(headers(support)).toEqual({ IfNoneMatch: '*' });
  }
  expect(headers('refused')).toEqual({});
  const matching = (match: 'quoted' | 'plain' | 'ignored' | 'refused' | undefined): unknown =>
    conditionHeaders({ version }, { absent: undefined, match });
  expect(matching('quoted')).toEqual({ IfMatch: version });
  expect(matching('ignored')).toEqual({ IfMatch: version });
  expect(matching('plain')).toEqual({ IfMatch: '0123456789abcdef' });
  expect(matching('refused')).toEqual({});
  expect(matching(undefined)).toEqual({});
});

const denied = (code = 'AccessDenied') => fail('denied', `HTTP 403 ${code}`, { code });

function denyingReads({ method }: Asked): string | undefined {
  return method === 'HEAD' ? 'AccessDenied' : undefined;
}
/** Without `s3:ListBucket`: every absent object is denied. */
const hidingAbsence: Rule = ({ method }, isThere) =>
  method === 'HEAD' && !isThere ? 'AccessDenied' : undefined;

test('where reads are permitted and absence is denied, a denied read is an absent object', async () => {
  const { session, asked } = sessionAt(hidingAbsence);
  const absence = new S3Absence(session);
  await absence.judge('f/a', ok(undefined), signal);
  expect(asked).toEqual([]);
  expect(await absence.judge('f/b', denied(), signal)).toMatchObject({ kind: 'notFound' });
  expect(asked).toHaveLength(1);
  expect(await absence.judge('f/c', denied(), signal)).toMatchObject({ kind: 'notFound' });
  // The answer holds for the bucket.
  expect(asked).toHaveLength(1);
});

test('where absence is answered as such, a denied read lacks the right to read', async () => {
  const { session } = sessionAt(({ method }, isThere) =>
    method === 'HEAD' && !isThere ? 'NoSuchKey' : undefined,
  );
  const absence = new S3Absence(session);
  await absence.judge('a', ok(undefined), signal);
  const read = await absence.judge('b', denied(), signal);
  expect(read).toMatchObject({ kind: 'denied', right: 's3:GetObject' });
});

test('what we have written ourselves tells once whether a denied read lacks a right', async () => {
  const reading = sessionAt(hidingAbsence);
  const permitted = new S3Absence(reading.session);
  permitted.wrote('f/a');
  expect(await permitted.judge('f/b', denied(), signal)).toMatchObject({ kind: 'notFound' });
  const forbidden = new S3Absence(sessionAt(denyingReads).session);
  forbidden.wrote('f/a');
  for (const key of ['f/a', 'f/b']) {
    const read = await forbidden.judge(key, denied(), signal);
    expect(read).toMatchObject({ kind: 'denied', right: 's3:GetObject' });
  }
  // Of another folder nothing is known.
  const other = await forbidden.judge('g/a', denied(), signal);
  expect(other).toMatchObject({ right: 's3:GetObject, or s3:ListBucket if it is absent' });
});

test('where nothing was written or read, a denied read names both rights and asks nothing', async () => {
  const { session, asked } = sessionAt(nothing);
  const read = await new S3Absence(session).judge('a', denied(), signal);
  expect(read).toMatchObject({ right: 's3:GetObject, or s3:ListBucket if it is absent' });
  expect(asked).toEqual([]);
});

test('a store that fails while it is asked for rights is an outage, and is asked again', async () => {
  let isAway = true;
  const { session } = sessionAt((asked, isThere, at) =>
    isAway && asked.method === 'HEAD' ? 'SlowDown' : hidingAbsence(asked, isThere, at),
  );
  const absence = new S3Absence(session);
  absence.wrote('a');
  expect(await absence.judge('b', denied(), signal)).toMatchObject({ kind: 'transient' });
  await absence.judge('a', ok(undefined), signal);
  expect(await absence.judge('b', denied(), signal)).toMatchObject({ kind: 'transient' });
  isAway = false;
  expect(await absence.judge('b', denied(), signal)).toMatchObject({ kind: 'notFound' });
});

test('credentials that are refused say nothing of rights', async () => {
  const { session, asked } = sessionAt(nothing);
  const absence = new S3Absence(session);
  absence.wrote('a');
  const read = denied('InvalidAccessKeyId');
  expect(await absence.judge('a', read, signal)).toBe(read);
  expect(asked).toEqual([]);
});

test('a bucket is seen by a write, by a read, and by an object that is not in it', async () => {
  const { session } = sessionAt(nothing);
  const seenBy = async (see: (absence: S3Absence) => unknown): Promise<boolean> => {
    const absence = new S3Absence(session);
    await see(absence);
    return absence.isBucketSeen;
  };
  const missing = (code: string) => fail('notFound', code, { code });
  expect(await seenBy((absence) => absence.wrote('k'))).toBe(true);
  expect(await seenBy((absence) => absence.judge('k', ok(1), signal))).toBe(true);
  expect(await seenBy((absence) => absence.judge('k', missing('NoSuchKey'), signal))).toBe(true);
  expect(await seenBy((absence) => absence.judge('k', missing('NoSuchBucket'), signal))).toBe(
    false,
  );
});
