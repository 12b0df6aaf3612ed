import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { createHttpFaultProxy } from '@holdfast/faults';
import { closeAfterTest } from '../close-after-test.ts';
import { portOf } from '../servers.ts';
import { endings } from './http-endings.ts';
import { type Exchange, type Step, exchanges, reset } from './http-exchanges.ts';

const opened: { server: Server; sockets: Socket[] }[] = [];
afterEach(() => {
  for (const { server, sockets } of opened.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

/** What one side received, and how it ended. */
interface Heard {
  text: string;
  fate: string;
  readonly changed: () => Promise<unknown>;
}

function listen(socket: Socket): Heard {
  let notify = Promise.withResolvers<void>();
  const heard: Heard = { text: '', fate: 'open', changed: () => notify.promise };
  const tell = (): void => {
    const { resolve } = notify;
    notify = Promise.withResolvers();
    resolve();
  };
  socket.setEncoding('latin1');
  socket.on('data', (text) => {
    heard.text += String(text);
    tell();
  });
  socket.on('end', () => {
    heard.fate = 'END';
    tell();
  });
  socket.on('error', (error) => {
    heard.fate = 'code' in error ? String(error.code) : error.message;
    tell();
  });
  return heard;
}

/** Plays one side; a step that waits sees only what came after the one before it. */
async function play(
  socket: Socket,
  heard: Heard,
  steps: readonly Step[],
  resets: Promise<unknown>,
): Promise<void> {
  let from = 0;
  for (const step of steps) {
    if ('send' in step) socket.write(step.send, 'latin1');
    else if ('end' in step) socket.end();
    else if ('reset' in step) socket.resetAndDestroy();
    else if (step.await === 'END') while (heard.fate === 'open') await heard.changed();
    else if (step.await === 'RESET') await resets;
    else {
      for (;;) {
        const at = heard.text.indexOf(step.await, from);
        if (at !== -1) {
          from = at + step.await.length;
          break;
        }
        if (heard.fate !== 'open')
          throw new Error(`ended (${heard.fate}) before ${step.await.slice(0, 40)}`);
        await heard.changed();
      }
    }
  }
  while (heard.fate === 'open' && !steps.includes(reset)) await heard.changed();
}

/** What both sides heard, directly or through a proxy. */
async function outcome({ client, server: answers }: Exchange, through: boolean): Promise<unknown> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  opened.push({ server, sockets });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = { port: portOf(server) };
  const { port } = through ? closeAfterTest(await createHttpFaultProxy({ target })) : target;
  const asking = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const accepted: Promise<Socket[]> = once(server, 'connection');
  const [served] = await accepted;
  if (served === undefined) throw new Error('nothing was accepted');
  sockets.push(asking, served);
  const atClient = listen(asking);
  const atServer = listen(served);
  const isHeard = async (): Promise<void> => {
    while (!atClient.text.endsWith('half')) await atClient.changed();
  };
  await Promise.all([
    play(asking, atClient, client, Promise.resolve()),
    play(served, atServer, answers, isHeard()),
  ]);
  return { client: [atClient.text, atClient.fate], server: [atServer.text, atServer.fate] };
}

const table = Object.entries({ ...exchanges, ...endings });

test.each(table)('%s passes byte for byte, and ends as a direct call', async (_, exchange) => {
  const direct = await outcome(exchange, false);
  expect(await outcome(exchange, true)).toEqual(direct);
});

test('the table has at least thirty exchanges', () => {
  expect(table.length).toBeGreaterThanOrEqual(30);
});
