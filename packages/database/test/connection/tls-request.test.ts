import { once } from 'node:events';
import { type Socket, createServer } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createDatabase } from '../../src/index.ts';
import { Opened, failureOf } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

/** A server that replies to every SSLRequest with these bytes, and closes. */
async function serverReplying(reply: string): Promise<{ url: string; asked: () => number }> {
  const sockets = new Set<Socket>();
  let asked = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => {
      asked += 1;
      socket.end(reply);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.add(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `postgres://u:pw@127.0.0.1:${port}/db`, asked: () => asked };
}

test('a server that answers the request for TLS with an error is waited for', async () => {
  const { url, asked } = await serverReplying('Ecould not fork new process\0');
  const db = createDatabase({ hosts: url, ssl: true, acquireTimeoutMs: 300 });
  opened.add(() => db.close({ deadlineMs: 0 }));
  const failed = nextEvent(db, 'connect-failed');
  const call = failureOf(db.query('select 1'));
  expect(await failed).toMatchObject({ error: expect.stringContaining('CONNECT_NO_TLS_NOW') });
  expect(await call).toMatchObject({ code: 'DATABASE_ACQUIRE_TIMEOUT', retryable: true });
  expect(asked()).toBeGreaterThan(1);
});

test('a server without TLS refuses a client that asks for it, at once', async () => {
  const { url } = await serverReplying('N');
  const db = createDatabase({ hosts: url, ssl: true });
  opened.add(() => db.close({ deadlineMs: 0 }));
  expect(await failureOf(db.query('select 1'))).toMatchObject({
    code: 'DATABASE_CONNECT_REFUSED',
    retryable: false,
  });
});
