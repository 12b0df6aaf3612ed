import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { seededRandom } from '@holdfast/foundation';
import {
  BodyTooLargeError,
  DamagedBodyError,
  type ResilientFetch,
  TruncatedBodyError,
  createResilientFetch,
} from '@holdfast/network';
import { type Encoding, encodings } from '../../../src/fetch/encodings.ts';
import { type RawServer, openRawServer, whole } from '../../../src/fetch/raw-server.ts';
import { TestDialer } from '../../../src/fetch/test-dialer.ts';

const random = seededRandom(1);
/** Text that no encoding makes small at once, so that a cut is somewhere within it. */
const plain = Buffer.from(
  Array.from({ length: 30_000 }, () => String.fromCharCode(97 + Math.floor(random() * 20))).join(
    '',
  ),
);

/** Encoded once: that costs more than a call. */
const encodedPlain = new Map(encodings.map((encoding) => [encoding, encoding.encode(plain)]));
const encodedOf = (encoding: Encoding): Buffer => encodedPlain.get(encoding) ?? Buffer.alloc(0);

/** Sends a faulty answer. `isEnded`: the body's framing is whole, so that only its encoding can tell. */
interface Fault {
  readonly name: string;
  send(socket: Socket, encoded: Buffer, header: Record<string, string>): void;
  /** Only with an encoding is it a fault. */
  readonly needsEncoding?: boolean;
  /** Whether the end of an unencoded body cannot be known; it is flagged. */
  readonly isUnverifiable?: boolean;
}

const head = (headers: Record<string, string>): string =>
  `HTTP/1.1 200 OK\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
const chunk = (bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
const chunked = { 'transfer-encoding': 'chunked' };
const half = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length >> 1);
const junk = Buffer.from('junk');

function sendWhole(socket: Socket, body: Buffer, headers: Record<string, string>): void {
  socket.write(whole(body, headers));
}
function sendChunks(
  socket: Socket,
  parts: readonly Buffer[],
  headers: Record<string, string>,
): void {
  socket.write(head({ ...headers, ...chunked }));
  for (const part of parts) if (part.length > 0) socket.write(chunk(part));
  socket.write('0\r\n\r\n');
}
/** Resets the connection: once the head has arrived, which a reset may overtake. */
let reset = (): void => {};
function sendCut(socket: Socket, bytes: Buffer, isReset: boolean): void {
  reset = () => void socket.resetAndDestroy();
  if (isReset) socket.write(bytes);
  else socket.end(bytes);
}

const faults: readonly Fault[] = [
  ...[false, true].flatMap((isReset): Fault[] => {
    const how = isReset ? 'a reset' : 'an end';
    return [
      {
        name: `${how} within the length`,
        send: (socket, encoded, headers) =>
          sendCut(
            socket,
            Buffer.concat([
              Buffer.from(head({ ...headers, 'content-length': String(encoded.length) })),
              half(encoded),
            ]),
            isReset,
          ),
      },
      {
        name: `${how} within a chunk`,
        send: (socket, encoded, headers) => {
          const bytes = Buffer.concat([
            Buffer.from(head({ ...headers, ...chunked })),
            chunk(encoded),
          ]);
          sendCut(socket, bytes.subarray(0, bytes.length - 20), isReset);
        },
      },
      {
        name: `${how} between chunks, with Connection: close`,
        send: (socket, encoded, headers) => {
          const lines = head({ ...headers, ...chunked, connection: 'close' });
          sendCut(socket, Buffer.concat([Buffer.from(lines), chunk(half(encoded))]), isReset);
        },
      },
    ];
  }),
  {
    name: 'all chunks but the last',
    send: (socket, encoded, headers) => {
      const lines = head({ ...headers, ...chunked, connection: 'close' });
      sendCut(socket, Buffer.concat([Buffer.from(lines), chunk(encoded)]), false);
    },
  },
  {
    name: 'a cut under a whole length',
    needsEncoding: true,
    send: (socket, encoded, headers) => sendWhole(socket, half(encoded), headers),
  },
  {
    name: 'the last byte missing under a whole length',
    needsEncoding: true,
    send: (socket, encoded, headers) => sendWhole(socket, encoded.subarray(0, -1), headers),
  },
  {
    name: 'a cut under whole chunks',
    needsEncoding: true,
    send: (socket, encoded, headers) => sendChunks(socket, [half(encoded)], headers),
  },
  {
    name: 'nothing under a whole length',
    needsEncoding: true,
    send: (socket, _encoded, headers) => sendWhole(socket, Buffer.alloc(0), headers),
  },
  {
    name: 'bytes after the end, under a whole length',
    needsEncoding: true,
    send: (socket, encoded, headers) => sendWhole(socket, Buffer.concat([encoded, junk]), headers),
  },
  {
    name: 'zeros after the end, in a chunk of their own',
    needsEncoding: true,
    send: (socket, encoded, headers) => sendChunks(socket, [encoded, Buffer.alloc(4)], headers),
  },
  {
    name: 'a cut where the connection is the end',
    isUnverifiable: true,
    send: (socket, encoded, headers) => {
      const lines = head({ ...headers, connection: 'close' });
      sendCut(socket, Buffer.concat([Buffer.from(lines), half(encoded)]), false);
    },
  },
];

let server: RawServer;
let resilientFetch: ResilientFetch;
let answer: (socket: Socket) => void = () => {};
beforeAll(async () => {
  server = await openRawServer((socket) => answer(socket));
  resilientFetch = createResilientFetch({
    dialer: new TestDialer(),
    retry: { maxAttempts: 1 },
    circuitBreaker: { failureThreshold: 100_000 },
  });
});
afterAll(async () => {
  await resilientFetch.close();
  await server.close();
});

const headersOf = ({ header }: Encoding): Record<string, string> =>
  header === '' ? {} : { 'content-encoding': header };

test.each(encodings)('a whole body in $name is handed over as it was', async (encoding) => {
  const encoded = encodedOf(encoding);
  for (const send of [
    (socket: Socket) => sendWhole(socket, encoded, headersOf(encoding)),
    (socket: Socket) =>
      sendChunks(
        socket,
        [half(encoded), encoded.subarray(encoded.length >> 1)],
        headersOf(encoding),
      ),
    (socket: Socket) => {
      const lines = head({ ...headersOf(encoding), connection: 'close' });
      sendCut(socket, Buffer.concat([Buffer.from(lines), encoded]), false);
    },
  ]) {
    answer = send;
    const response = await resilientFetch(server.url);
    expect(Buffer.from(await response.arrayBuffer()).equals(plain)).toBe(true);
  }
});

const cases = faults.flatMap((fault) =>
  encodings
    .filter(({ header }) => fault.needsEncoding !== true || header !== '')
    .map((encoding) => ({
      fault,
      encoding,
      name: `${fault.name}: ${encoding.name}`,
      isFlagged: fault.isUnverifiable === true && encoding.header === '',
    })),
);

test.each(cases.filter(({ isFlagged }) => !isFlagged))(
  'a short body is never handed over as whole: $name',
  async ({ fault, encoding }) => {
    const encoded = encodedOf(encoding);
    answer = (socket) => fault.send(socket, encoded, headersOf(encoding));
    const response = await resilientFetch(server.url);
    if (fault.name.startsWith('a reset')) reset();
    const error = await response.text().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    const isTrailing = fault.name.includes('after the end');
    expect(error).toBeInstanceOf(isTrailing ? DamagedBodyError : TruncatedBodyError);
    const endpoint = { address: '127.0.0.1' };
    expect(error).toMatchObject({ where: 'body', written: 'all', endpoint });
  },
);

test.each(cases.filter(({ isFlagged }) => isFlagged))(
  'a body whose end cannot be known is flagged: $name',
  async ({ fault, encoding }) => {
    answer = (socket) => fault.send(socket, encodedOf(encoding), headersOf(encoding));
    const response = await resilientFetch(server.url);
    expect(response.unverifiedEnd).toBe(true);
    expect((await response.text()).length).toBeLessThan(plain.length);
  },
);

test('a body in an encoding that it is not in is an error', async () => {
  for (const encoding of encodings.filter(({ header }) => header !== '')) {
    answer = (socket) =>
      sendWhole(socket, Buffer.from('<html>not encoded</html>'), headersOf(encoding));
    const response = await resilientFetch(server.url);
    await expect(response.text()).rejects.toMatchObject({ where: 'body', retryable: true });
  }
});

test('a gzip of several members is whole, wherever the bytes are cut', async () => {
  const members = Buffer.concat([gzipSync(plain), gzipSync('and more')]);
  const first = gzipSync(plain).length;
  for (const cut of [first - 1, first, first + 1]) {
    answer = (socket) =>
      sendChunks(socket, [members.subarray(0, cut), members.subarray(cut)], {
        'content-encoding': 'gzip',
      });
    const response = await resilientFetch(server.url);
    expect(await response.text()).toBe(`${plain.toString()}and more`);
  }
});

test('a body over maxBodyBytes is stopped there, inflated or not, and by its length before it is read', async () => {
  const bounded = createResilientFetch({ dialer: new TestDialer(), maxBodyBytes: 10_000 });
  for (const encoding of encodings) {
    const encoded = encoding.encode(Buffer.alloc(1_000_000));
    for (const send of [
      (socket: Socket) => sendWhole(socket, encoded, headersOf(encoding)),
      (socket: Socket) => sendChunks(socket, [encoded], headersOf(encoding)),
    ]) {
      answer = send;
      const response = await bounded(server.url);
      await expect(response.arrayBuffer()).rejects.toBeInstanceOf(BodyTooLargeError);
    }
    answer = (socket) =>
      sendWhole(socket, encoding.encode(Buffer.alloc(10_000)), headersOf(encoding));
    expect((await (await bounded(server.url)).arrayBuffer()).byteLength).toBe(10_000);
  }
  await bounded.close();
});

test('more encodings than a server ever applies are refused', async () => {
  const encoded = Array.from({ length: 6 }).reduce<Buffer>((bytes) => gzipSync(bytes), plain);
  const headers = { 'content-encoding': 'gzip, gzip, gzip, gzip, gzip, gzip' };
  answer = (socket) => sendWhole(socket, encoded, headers);
  const response = await resilientFetch(server.url);
  await expect(response.text()).rejects.toBeInstanceOf(DamagedBodyError);
});

test('HEAD, 204 and 304 have no body to inflate, and a part of an encoded body is handed over as it is', async () => {
  const headers = { 'content-encoding': 'gzip', 'content-length': '500' };
  answer = (socket) => socket.write(head(headers));
  expect(await (await resilientFetch(server.url, { method: 'HEAD' })).text()).toBe('');
  answer = (socket) =>
    socket.write(whole('', { 'content-encoding': 'gzip', 'content-length': '' }, '304 Same'));
  expect(await (await resilientFetch(server.url)).text()).toBe('');
  answer = (socket) => socket.write(whole('part', { 'content-encoding': 'gzip' }, '206 Part'));
  const part = await resilientFetch(server.url, { headers: { range: 'bytes=0-3' } });
  expect(await part.text()).toBe('part');
});

test('an encoding that nobody knows is handed over as it is', async () => {
  answer = (socket) => sendWhole(socket, Buffer.from('secret'), { 'content-encoding': 'rot13' });
  expect(await (await resilientFetch(server.url)).text()).toBe('secret');
});

test('a bomb takes no more memory than the bound and 16 MiB', async () => {
  const main = new URL('../../../src/fetch/bomb-main.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', main]);
  const { boundBytes, grownBytes, code } = JSON.parse(stdout);
  expect(code).toStrictEqual(['NETWORK_BODY_TOO_LARGE', 'NETWORK_BODY_TOO_LARGE']);
  for (const grown of grownBytes) expect(grown).toBeLessThan(boundBytes + 16 * 1_048_576);
});
