import { once } from 'node:events';
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { createClient } from '@supabase/supabase-js';
import { supabaseBackend } from '../../src/backends/supabase/backend.ts';
import { bytesSource, collect } from '../../src/object/body.ts';
import { putOptions } from './put-options.ts';

/** A scripted server behind the `fetch` of a real supabase-js client. */
type Reply = Response | Error | (() => Promise<Response>);

const BYTES = Buffer.from('content');
const { signal } = new AbortController();

function backendOf(reply: Reply) {
  const asked: { url: string; method: string; headers: Headers }[] = [];
  const client = createClient('http://project.test', 'a-key', {
    auth: { persistSession: false, autoRefreshToken: false },
    global: {
      fetch: async (input, init) => {
        const { url, method, headers } = new Request(input, {
          method: init?.method ?? 'GET',
          headers: init?.headers ?? {},
        });
        asked.push({ url, method, headers });
        if (reply instanceof Error) throw reply;
        return typeof reply === 'function' ? reply() : reply.clone();
      },
    },
  });
  return { asked, backend: supabaseBackend({ client, bucket: 'b', verifyDownloads: false }) };
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });
const html = (status: number, text = '<html>Sign in</html>'): Response =>
  new Response(text, { status, headers: { 'content-type': 'text/html' } });
const thrown = (code: string): Error =>
  new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });
const timedOut = new DOMException('The operation was aborted due to timeout', 'TimeoutError');

/** The response; the expected result of a put; that of a head. */
const table: readonly (readonly [string, Reply, string, string])[] = [
  ['200 with id and key', json(200, { Id: 'i', Key: 'b/k' }), 'ok', 'transient'],
  ['200 {}', json(200, {}), 'unknown', 'transient'],
  ['200 null', json(200, null), 'unknown', 'transient'],
  ['200 []', json(200, []), 'unknown', 'transient'],
  ['200 HTML of a captive portal', html(200), 'unknown', 'transient'],
  ['200 malformed JSON', new Response('{"Id":"i","Ke'), 'unknown', 'transient'],
  ['200 without a body', new Response(null), 'unknown', 'transient'],
  ['200 with a key and no id', json(200, { Key: 'b/k' }), 'unknown', 'transient'],
  ['200 with another key', json(200, { Id: 'i', Key: 'b/y' }), 'invalid', 'transient'],
  ['200 with another bucket', json(200, { Id: 'i', Key: 'other/k' }), 'invalid', 'transient'],
  ['302 to a sign-in page', new Response('', { status: 302 }), 'unknown', 'transient'],
  ['500 empty', new Response('', { status: 500 }), 'transient', 'transient'],
  ['500 InternalError', json(500, { statusCode: '500', code: 'InternalError' }), 'transient', 'transient'],
  ['503 HTML', html(503), 'transient', 'transient'],
  ['502 HTML of a gateway', html(502), 'unknown', 'transient'],
  ['504 HTML of a gateway', html(504), 'unknown', 'transient'],
  ['544 DatabaseTimeout', json(544, { statusCode: '544', code: 'DatabaseTimeout' }), 'transient', 'transient'],
  ['429 SlowDown', json(429, { statusCode: '429', code: 'SlowDown' }), 'transient', 'transient'],
  ['429 without a body', new Response('', { status: 429 }), 'transient', 'transient'],
  ['400 that carries 503 DatabaseReadOnly', json(400, { statusCode: '503', code: 'DatabaseReadOnly' }), 'transient', 'transient'],
  ['400 that carries 503 and no code', json(400, { statusCode: '503', error: 'whatever' }), 'transient', 'transient'],
  ['400 that carries 500', json(400, { statusCode: '500' }), 'transient', 'transient'],
  ['400 that carries 403 AccessDenied', json(400, { statusCode: '403', code: 'AccessDenied' }), 'denied', 'denied'],
  ['400 that carries 403 and no code', json(400, { statusCode: '403', error: 'Unauthorized' }), 'denied', 'denied'],
  ['400 InvalidJWT', json(400, { statusCode: '400', code: 'InvalidJWT' }), 'denied', 'denied'],
  ['401 of a gateway', json(401, { message: 'Invalid API key' }), 'denied', 'denied'],
  ['403 HTML', html(403), 'denied', 'denied'],
  ['400 that carries 404 NoSuchKey', json(400, { statusCode: '404', code: 'NoSuchKey' }), 'notFound', 'notFound'],
  ['400 that carries 404 NoSuchBucket', json(400, { statusCode: '404', code: 'NoSuchBucket' }), 'notFound', 'notFound'],
  ['400 that carries 404 and no code', json(400, { statusCode: '404', error: 'not_found' }), 'notFound', 'notFound'],
  ['404', json(404, {}), 'notFound', 'notFound'],
  ['400 that carries 409 KeyAlreadyExists', json(400, { statusCode: '409', code: 'KeyAlreadyExists' }), 'conflict', 'conflict'],
  ['409 Duplicate of older servers', json(400, { statusCode: '409', error: 'Duplicate' }), 'conflict', 'conflict'],
  ['400 that carries 413 EntityTooLarge', json(400, { statusCode: '413', code: 'EntityTooLarge' }), 'invalid', 'invalid'],
  ['400 whose body was cut', new Response('{"statusCode":"404","er', { status: 400 }), 'transient', 'transient'],
  ['413 of a gateway', html(413), 'invalid', 'invalid'],
  ['400 that carries 415 InvalidMimeType', json(400, { statusCode: '415', code: 'InvalidMimeType' }), 'invalid', 'invalid'],
  ['400 that carries 413 and no code', json(400, { statusCode: '413', error: 'Payload too large' }), 'invalid', 'invalid'],
  ['400 that carries 415 and no code', json(400, { statusCode: '415', error: 'invalid_mime_type' }), 'invalid', 'invalid'],
  ['400 that carries 409 and no code', json(400, { statusCode: '409', error: 'whatever' }), 'conflict', 'conflict'],
  ['400 that carries 429 and no code', json(400, { statusCode: '429' }), 'transient', 'transient'],
  ['400 InvalidKey', json(400, { statusCode: '400', code: 'InvalidKey' }), 'invalid', 'invalid'],
  ['423 ResourceLocked', json(423, { statusCode: '423', code: 'ResourceLocked' }), 'transient', 'transient'],
  ['refused', thrown('ECONNREFUSED'), 'transient', 'transient'],
  ['no such name', thrown('ENOTFOUND'), 'transient', 'transient'],
  ['no answer from the name server', thrown('EAI_AGAIN'), 'transient', 'transient'],
  ['no connection in time', thrown('UND_ERR_CONNECT_TIMEOUT'), 'transient', 'transient'],
  ['certificate expired', thrown('CERT_HAS_EXPIRED'), 'transient', 'transient'],
  ['reset after sending', thrown('ECONNRESET'), 'unknown', 'transient'],
  ['closed without an answer', thrown('UND_ERR_SOCKET'), 'unknown', 'transient'],
  ['no head in time', thrown('UND_ERR_HEADERS_TIMEOUT'), 'unknown', 'transient'],
  ['aborted by a timeout', timedOut, 'unknown', 'transient'],
  ['an error of no kind', new TypeError('terminated'), 'unknown', 'transient'],
]; // prettier-ignore

test.each(table)(
  '%s is classified by the response itself, not by the result of supabase-js',
  async (_, reply, put, head) => {
    const { backend } = backendOf(reply);
    const results = await Promise.all([
      backend.put('k', bytesSource(BYTES), putOptions(BYTES)),
      backend.head('k', { signal }),
    ]);
    expect(results.map(({ kind }) => kind)).toEqual([put, head]);
  },
);

test('Retry-After reaches the caller, in seconds and as a date', async () => {
  const seconds = backendOf(json(429, { code: 'SlowDown' }, { 'retry-after': '7' })).backend;
  expect(await seconds.put('k', bytesSource(BYTES), putOptions(BYTES))).toMatchObject({
    retryAfterMs: 7_000,
  });
  const date = backendOf(json(503, {}, { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' })).backend;
  expect(await date.head('k', { signal })).toMatchObject({ kind: 'transient', retryAfterMs: 0 });
});

test('a truncated body is an error of the body, never a short object', async () => {
  const short = new Response('half', { headers: { 'content-length': '8' } });
  const { backend } = backendOf(short);
  const got = await backend.get('k', { signal });
  if (got.kind !== 'ok') throw new Error(got.message);
  await expect(collect(got.value.body)).rejects.toMatchObject({ code: 'STORAGE_BODY_INTEGRITY' });

  const broken = backendOf(async () => {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new TypeError('terminated')),
    });
    return new Response(body, { headers: { 'content-length': '8' } });
  }).backend;
  const begun = await broken.get('k', { signal });
  if (begun.kind !== 'ok') throw new Error(begun.message);
  await expect(collect(begun.value.body)).rejects.toMatchObject({ code: 'STORAGE_BODY_INTEGRITY' });
});

test('a removal that the response does not prove is verified', async () => {
  const info = { id: 'i', name: 'k', size: 7, version: 'v' };
  const hidden = backendOf(async () => json(200, []));
  expect((await hidden.backend.remove('k', { signal })).kind).not.toBe('denied');
  const replies = [json(200, []), json(200, info)];
  const kept = backendOf(async () => replies.shift() ?? json(500, {}));
  expect((await kept.backend.remove('k', { signal })).kind).toBe('denied');
  const gone = [json(200, []), json(400, { statusCode: '404', code: 'NoSuchKey' })];
  const absent = backendOf(async () => gone.shift() ?? json(500, {}));
  expect((await absent.backend.remove('k', { signal })).kind).toBe('ok');
});

test('each segment of a key is percent-encoded, and the client’s own token is sent', async () => {
  const { backend, asked } = backendOf(json(200, { Id: 'i', Key: 'b/a?b/c d' }));
  expect((await backend.put('a?b/c d', bytesSource(BYTES), putOptions(BYTES))).kind).toBe('ok');
  expect(asked[0]?.url).toBe('http://project.test/storage/v1/object/b/a%3Fb/c%20d');
  expect(asked[0]?.headers.get('apikey')).toBe('a-key');
  expect(asked[0]?.headers.get('x-upsert')).toBe('true');
});

test('an invalid client or URL is refused with the name of the option', () => {
  const refused = (options: unknown): unknown => {
    try {
      return Reflect.apply(supabaseBackend, undefined, [options]);
    } catch (error) {
      return error;
    }
  };
  expect(refused({ client: { storage: {} }, bucket: 'b' })).toMatchObject({ field: 'client' });
  expect(refused({ bucket: 'b' })).toMatchObject({ field: 'url' });
  expect(refused({ url: 'http://x', key: 'k', bucket: 'a/b' })).toMatchObject({ field: 'bucket' });
  expect(refused({ url: 'http://x', key: 'k' })).toMatchObject({ field: 'bucket' });
});

test('a compressing gateway changes neither the bytes nor their number', async () => {
  const text = 'compressed '.repeat(100);
  const info = { id: 'i', name: 'k', size: text.length, version: 'v' };
  const asked: (string | null)[] = [];
  const server = createServer((request, response) => {
    if (request.url?.includes('/info/') === true) {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(info));
      return;
    }
    asked.push(request.headers['accept-encoding'] ?? null);
    const small = gzipSync(text);
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': small.length });
    response.end(small);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const backend = supabaseBackend({ url: `http://127.0.0.1:${port}`, key: 'k', bucket: 'b' });
  const got = await backend.get('k', { signal });
  if (got.kind !== 'ok') throw new Error(got.message);
  expect(Buffer.from(await collect(got.value.body)).toString()).toBe(text);
  expect(asked).toEqual(['identity']);
  server.closeAllConnections();
  server.close();
});

test('a description contains the server’s own time, for the age of the object', async () => {
  const info = { id: 'i', name: 'k', size: 7, last_modified: '2026-01-01T00:00:00.000Z' };
  const date = 'Thu, 01 Jan 2026 01:00:00 GMT';
  const { backend } = backendOf(json(200, info, { date }));
  expect(await backend.head('k', { signal })).toMatchObject({
    value: {
      lastModifiedEpochMs: Date.parse(info.last_modified),
      servedAtEpochMs: Date.parse(date),
    },
  });
});
