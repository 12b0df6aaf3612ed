/**
 * One cell of the table: one fault, told to one client by the fault proxy, by nock or by msw. Prints what
 * the client was told; a client that is told nothing prints nothing. Only the one that tells is loaded: both
 * mocks change `fetch` and `http` for the whole process.
 */
import { once } from 'node:events';
import http from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

/** Said when the client is about to ask, so that its patience is not spent on loading. */
const READY = 'ready';
const ORIGIN = 'http://mocked.invalid';
const BODY = 'x'.repeat(1_000);
const HALF = BODY.slice(500);
const PATIENCE_MS = 300;
const LATE_MS = 60_000;

const [fault = '', client = '', teller = ''] = process.argv.slice(2);

const failing = (): Readable => {
  const body = new PassThrough();
  body.write(HALF);
  setImmediate(() => body.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' })));
  return body;
};
const failingWeb = (): ReadableStream => {
  const bytes = new TextEncoder().encode(HALF);
  let isGiven = false;
  return new ReadableStream({
    pull(controller) {
      if (isGiven) controller.error(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
      else controller.enqueue(bytes);
      isGiven = true;
    },
  });
};

const tellers: Readonly<Record<string, () => Promise<string>>> = {
  async real() {
    const { createHttpFaultProxy } = await import('@holdfast/faults');
    const server = http.createServer((_, response) => response.end(BODY)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const proxy = await createHttpFaultProxy({ target: { port } });
    if (fault === 'late') proxy.faults.set('delay', { delayMs: LATE_MS });
    else if (fault === 'reset') proxy.faults.set('reset');
    else if (fault === 'resetBody') proxy.faults.set('resetBody');
    else if (fault === 'shortBody') proxy.faults.set('truncatedBody');
    else proxy.faults.set('notHttp');
    return proxy.url;
  },
  async nock() {
    const { default: nock } = await import('nock');
    const asked = nock(ORIGIN).get('/');
    if (fault === 'late') asked.delay(LATE_MS).reply(200, BODY);
    else if (fault === 'reset')
      asked.replyWithError(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    else if (fault === 'resetBody') asked.reply(200, failing);
    else asked.reply(200, BODY, { 'content-length': '2000' });
    return ORIGIN;
  },
  async msw() {
    const { HttpResponse, delay, http: handlers } = await import('msw');
    const { setupServer } = await import('msw/node');
    const answers: Readonly<Record<string, () => Response | Promise<Response>>> = {
      reset: () => HttpResponse.error(),
      resetBody: () => new Response(failingWeb()),
      shortBody: () => new Response(BODY, { headers: { 'content-length': '2000' } }),
      late: async () => {
        await delay(LATE_MS);
        return new Response(BODY);
      },
    };
    const answer = answers[fault];
    if (answer !== undefined) setupServer(handlers.get(`${ORIGIN}/`, answer)).listen();
    return ORIGIN;
  },
};

const clients: Readonly<Record<string, (url: string, signal: AbortSignal) => Promise<string>>> = {
  fetch: async (url, signal) => (await fetch(`${url}/`, { signal })).text(),
  http: (url, signal) =>
    new Promise((resolve, reject) => {
      const request = http.get(`${url}/`, { signal });
      request.on('error', reject);
      request.on('response', (response) => text(response).then(resolve, reject));
    }),
};

/** A code where there is one, at its own place or in the cause; else the name of the error. */
function named(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  if ('cause' in error && error.cause !== undefined) return named(error.cause);
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'name' in error ? String(error.name) : 'no code';
}

const url = await tellers[teller]?.();
process.stdout.write(`${READY}\n`);
const signal = fault === 'late' ? AbortSignal.timeout(PATIENCE_MS) : new AbortController().signal;
// Keeps the process alive for as long as its parent lets it: what hangs is to be seen to hang.
process.stdin.resume();
await clients[client]?.(url ?? '', signal).then(
  (body) =>
    process.stdout.write(body.length === BODY.length ? 'a complete body' : 'part of a body'),
  (error: unknown) => process.stdout.write(named(error)),
);
process.exit(0);
