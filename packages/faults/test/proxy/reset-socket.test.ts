import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { resetSocket } from '../../src/proxy/reset-socket.ts';

/** Two ends of one connection; `close` of the accepted one is what is judged. */
async function connected(work: (accepted: Socket, client: Socket) => Promise<void>): Promise<void> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => {});
  const [accepted]: Socket[] = await once(server, 'connection');
  try {
    if (accepted !== undefined) await work(accepted, client);
  } finally {
    client.destroy();
    accepted?.destroy();
    server.close();
    await once(server, 'close');
  }
}

test('a socket whose FIN is being sent is reset and closed', async () => {
  expect.assertions(1);
  await connected(async (accepted) => {
    const closed = once(accepted, 'close');
    accepted.end();
    resetSocket(accepted);
    await closed;
    expect(accepted.destroyed).toBe(true);
  });
});

test('a socket with unsent bytes is reset at once', async () => {
  expect.assertions(1);
  await connected(async (accepted, client) => {
    client.pause();
    const failed = once(client, 'error').catch((error: unknown) => error);
    const closed = once(accepted, 'close');
    accepted.end(Buffer.alloc(50_000_000));
    resetSocket(accepted);
    await closed;
    client.resume();
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
  });
});

test('resetting a closed or unconnected socket only closes it', async () => {
  expect.assertions(2);
  await connected(async (accepted) => {
    accepted.destroy();
    await once(accepted, 'close');
    resetSocket(accepted);
    expect(accepted.destroyed).toBe(true);
    const calling = connect({ port: 1, host: '127.0.0.1' });
    calling.on('error', () => {});
    resetSocket(calling);
    await once(calling, 'close');
    expect(calling.destroyed).toBe(true);
  });
});
