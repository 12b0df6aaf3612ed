import { expect, test } from '@jest/globals';
import type { FailureKind } from '../../src/backend.ts';
import { failedBeforeSending, networkCodeOf } from '../../src/backends/network-errors.ts';
import { classifyS3Error } from '../../src/backends/s3/errors.ts';
import { classifyResponse, classifyThrown, unproven } from '../../src/backends/supabase/errors.ts';
import { parseInfo, parsePage } from '../../src/backends/supabase/replies.ts';

const s3 = (status: number, name = 'Unheard'): object =>
  Object.assign(new Error('m'), { name, $metadata: { httpStatusCode: status } });

/** The status; a read; a write, where it differs. */
const statusesOfS3: readonly (readonly [number, FailureKind, FailureKind?])[] = [
  [200, 'transient', 'unknown'],
  [304, 'transient', 'unknown'],
  [399, 'transient', 'unknown'],
  [400, 'invalid'],
  [401, 'denied'],
  [402, 'invalid'],
  [403, 'denied'],
  [404, 'notFound'],
  [405, 'invalid'],
  [408, 'transient'],
  [409, 'conflict'],
  [410, 'invalid'],
  [412, 'conflict'],
  [413, 'invalid'],
  [429, 'transient'],
  [499, 'invalid'],
  [500, 'transient'],
  [501, 'invalid'],
  [502, 'transient', 'unknown'],
  [503, 'transient'],
  [504, 'transient', 'unknown'],
  [507, 'transient'],
];

test.each(statusesOfS3)(
  'an unknown code of S3 with status %i is classified by it',
  (status, ...[read, write = read]) => {
    expect(classifyS3Error(s3(status), 'read', 0)).toMatchObject({
      kind: read,
      message: `HTTP ${status} Unheard`,
      code: 'Unheard',
    });
    expect(classifyS3Error(s3(status), 'write', 0).kind).toBe(write);
  },
);

test('a known code of S3 goes before the status, and needs none', () => {
  expect(classifyS3Error(s3(403, 'RequestTimeTooSkewed'), 'write', 0).kind).toBe('transient');
  expect(classifyS3Error({ name: 'AccessDenied' }, 'write', 0)).toMatchObject({
    kind: 'denied',
    message: 'no status AccessDenied',
  });
  expect(classifyS3Error({ $metadata: { httpStatusCode: 503 } }, 'write', 0).kind).toBe(
    'transient',
  );
});

test('without a response of S3 only a request that was sent leaves a write in doubt', () => {
  const failed = (code: string): Error => Object.assign(new Error('no'), { code });
  const write = (code: string) => classifyS3Error(failed(code), 'write', 0);
  expect(write('ECONNREFUSED')).toMatchObject({ kind: 'transient', code: 'ECONNREFUSED' });
  expect(write('ECONNRESET')).toMatchObject({
    kind: 'unknown',
    message: 'no response (ECONNRESET)',
  });
  expect(classifyS3Error(failed('ECONNRESET'), 'read', 0).kind).toBe('transient');
  expect(classifyS3Error(new Error('odd'), 'write', 0)).toMatchObject({
    kind: 'unknown',
    code: 'Error',
  });
  expect(classifyS3Error('odd', 'write', 0)).toMatchObject({
    kind: 'unknown',
    message: 'no response (no code)',
  });
});

/** The status; with a body of the server; bare, of a read; bare, of a write. */
const statusesOfSupabase: readonly (readonly [number, FailureKind, FailureKind, FailureKind?])[] = [
  [302, 'invalid', 'transient', 'unknown'],
  [399, 'invalid', 'transient', 'unknown'],
  [400, 'invalid', 'transient'],
  [401, 'denied', 'denied'],
  [402, 'invalid', 'invalid'],
  [403, 'denied', 'denied'],
  [404, 'notFound', 'notFound'],
  [407, 'denied', 'denied'],
  [408, 'transient', 'transient'],
  [409, 'conflict', 'conflict'],
  [410, 'notFound', 'notFound'],
  [412, 'conflict', 'conflict'],
  [413, 'invalid', 'invalid'],
  [423, 'transient', 'transient'],
  [425, 'transient', 'transient'],
  [429, 'transient', 'transient'],
  [499, 'invalid', 'invalid'],
  [500, 'transient', 'transient'],
  [502, 'transient', 'transient', 'unknown'],
  [503, 'transient', 'transient'],
  [504, 'transient', 'transient', 'unknown'],
];

test.each(statusesOfSupabase)(
  'Supabase: status %i is classified, with a body of the server and without',
  (status, ...[stated, read, write = read]) => {
    const response = { status, headers: new Headers() };
    const kindOf = (text: string, effect: 'read' | 'write'): FailureKind =>
      classifyResponse(response, text, effect, 0).kind;
    expect([kindOf('{}', 'read'), kindOf('{}', 'write')]).toEqual([stated, stated]);
    expect(kindOf('', 'read')).toBe(read);
    for (const text of ['', 'null', '[]', '1', '<html>']) {
      expect(kindOf(text, 'write')).toBe(write);
    }
  },
);

test('Supabase: the status that a body states counts where it is one of an error', () => {
  const classified = (status: number, statusCode: unknown, more: object = {}) =>
    classifyResponse(
      { status, headers: new Headers() },
      JSON.stringify({ statusCode, ...more }),
      'write',
      0,
    );
  const message = 'HTTP 400 (404)';
  expect(classified(400, '404')).toMatchObject({ kind: 'notFound', message });
  expect(classified(404, '400')).toMatchObject({ kind: 'invalid', message: 'HTTP 404 (400)' });
  expect(classified(404, '399')).toMatchObject({ kind: 'notFound', message: 'HTTP 404' });
  expect(classified(404, '599')).toMatchObject({ kind: 'transient' });
  expect(classified(404, '600')).toMatchObject({ kind: 'notFound' });
  expect(classified(404, 'no number')).toMatchObject({ kind: 'notFound' });
  expect(classified(500, '500', { code: 'S3Error' })).toMatchObject({
    code: 'S3Error',
    message: 'HTTP 500 S3Error',
  });
  expect(classified(400, '400', { error: 'Duplicate' }).kind).toBe('conflict');
  expect(classified(400, '400', { error: 'Payload too large' }).code).toBe('EntityTooLarge');
  expect(classified(400, '400', { error: 'InvalidJWT' }).kind).toBe('denied');
  expect(classified(400, '400', { error: 'toString' })).not.toHaveProperty('code');
  expect(classified(400, '400', { error: 7 })).not.toHaveProperty('code');
});

test('Supabase: without a response only a request that was sent leaves a write in doubt', () => {
  const failed = (code: string): Error => new TypeError('fetch failed', { cause: { code } });
  expect(classifyThrown(failed('ECONNREFUSED'), 'write').kind).toBe('transient');
  expect(classifyThrown(failed('ECONNRESET'), 'write')).toMatchObject({
    kind: 'unknown',
    code: 'ECONNRESET',
    message: 'no response (ECONNRESET)',
  });
  expect(classifyThrown(failed('ECONNRESET'), 'read').kind).toBe('transient');
  expect(classifyThrown('odd', 'write').message).toBe('no response (no code)');
  expect(unproven('write', 'no id').kind).toBe('unknown');
  expect(unproven('read', 'no id').kind).toBe('transient');
});

test('the code of a failed request is found in its causes, of which there are not too many', () => {
  const wrapped = (depth: number): unknown =>
    depth === 0 ? { code: 'ECONNRESET' } : { cause: wrapped(depth - 1) };
  for (const depth of [0, 1, 4]) expect(networkCodeOf(wrapped(depth))).toBe('ECONNRESET');
  expect(networkCodeOf(wrapped(5))).toBeUndefined();
  const circle: { cause?: unknown } = {};
  circle.cause = circle;
  expect(networkCodeOf(circle)).toBeUndefined();
  for (const none of [undefined, null, 'text', { code: 7 }, { cause: null }]) {
    expect(networkCodeOf(none)).toBeUndefined();
  }
  expect(networkCodeOf({ code: 7, cause: { code: 'EPIPE' } })).toBe('EPIPE');
  expect(failedBeforeSending('ENETDOWN')).toBe(true);
  expect(failedBeforeSending('EPIPE')).toBe(false);
  expect(failedBeforeSending(undefined)).toBe(false);
});

test('a description is read field by field, and what describes no object is none', () => {
  const info = {
    id: 'i',
    size: 7,
    version: 'v',
    content_type: 'text/plain',
    cache_control: 'max-age=1',
    etag: '"e"',
    created_at: '2026-01-01T00:00:00.000Z',
    last_modified: '2026-01-02T00:00:00.000Z',
    metadata: { color: 'red' },
  };
  expect(parseInfo('k', info)).toEqual({
    key: 'k',
    size: 7,
    version: 'v',
    contentType: 'text/plain',
    cacheControl: 'max-age=1',
    etag: '"e"',
    createdEpochMs: Date.parse(info.created_at),
    lastModifiedEpochMs: Date.parse(info.last_modified),
    metadata: { color: 'red' },
  });
  const odd = { id: 'i', size: 7, version: 1, etag: null, created_at: 'no date', last_modified: 5 };
  expect(parseInfo('k', odd)).toEqual({ key: 'k', size: 7, metadata: {} });
  for (const none of [null, [], 'text', {}, { size: 7 }, { id: 'i' }, { id: 'i', size: '7' }]) {
    expect(parseInfo('k', none)).toBeUndefined();
  }
});

test('a page is read entry by entry, and has a cursor only where more follows', () => {
  const entry = {
    name: 'short',
    key: 'a/short',
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-02T00:00:00.000Z',
    metadata: { size: 7, mimetype: 'text/plain', cacheControl: 'no-cache', eTag: '"e"' },
  };
  const objects = [entry, { name: 'b' }, { key: 1 }, null, { name: 'c', metadata: { size: '7' } }];
  expect(parsePage({ objects, hasNext: true, nextCursor: 'more' })).toEqual({
    objects: [
      {
        key: 'a/short',
        size: 7,
        contentType: 'text/plain',
        cacheControl: 'no-cache',
        etag: '"e"',
        createdEpochMs: Date.parse(entry.created_at),
        lastModifiedEpochMs: Date.parse(entry.updated_at),
      },
      { key: 'b' },
      { key: 'c' },
    ],
    cursor: 'more',
  });
  for (const last of [{ hasNext: false, nextCursor: 'more' }, { hasNext: true }, {}]) {
    expect(parsePage({ objects: [], ...last })).toEqual({ objects: [] });
  }
  for (const none of [null, [], {}, { objects: 'text' }]) expect(parsePage(none)).toBeUndefined();
});
