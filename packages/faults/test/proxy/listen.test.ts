/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type Server, connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  createFaultProxy,
  createHttpFaultProxy,
  createPostgresFaultProxy,
  createRedisFaultProxy,
  createTlsFaultProxy,
  createToxiproxyServer,
} from '@holdfast/faults';
import { createFakeClock } from '@holdfast/foundation/testing';
import { testUnless } from '../test-unless.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { fate, portOf, quiet } from '../servers.ts';

let server: Server;
beforeEach(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('served');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => void server.close());

async function connects(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  const [outcome] = await Promise.race([
    once(socket, 'connect').then(() => [true]),
    once(socket, 'close').then(() => [false]),
  ]).catch(() => [false]);
  socket.destroy();
  return outcome === true;
}

const makers = {
  tcp: createFaultProxy,
  http: createHttpFaultProxy,
  redis: createRedisFaultProxy,
  postgres: createPostgresFaultProxy,
  tls: createTlsFaultProxy,
};
const kinds = Object.entries(makers);

test.each(
  kinds.flatMap(([kind, make]) =>
    ['localhost', '::1', '127.0.0.3'].map((host) => [kind, host, make] as const),
  ),
)('a %s proxy listens on %s', async (_, host, make) => {
  const proxy = closeAfterTest(await make({ target: { port: portOf(server) }, listen: { host } }));
  expect(proxy.host).toBe(host);
  expect(await connects(host, proxy.port)).toBe(true);
});

test.each(kinds)('a %s proxy on a name that is not known says so', async (_, make) => {
  const listen = { host: 'nowhere.invalid' };
  await expect(make({ target: { port: portOf(server) }, listen })).rejects.toMatchObject({
    code: 'FAULTS_PROXY_LISTEN_FAILED',
    message: expect.stringContaining('nowhere.invalid'),
    cause: { code: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/) },
  });
});

test('the API of Toxiproxy listens on a name', async () => {
  const api = closeAfterTest(await createToxiproxyServer({ host: 'localhost', port: 0 }));
  expect((await fetch(`http://localhost:${api.port}/version`)).status).toBe(200);
});

test.each(['localhost', '::1', '0.0.0.0', '::'])(
  'a proxy on %s refuses, and accepts again at its address',
  async (host) => {
    const proxy = closeAfterTest(
      await createFaultProxy({ target: { port: portOf(server) }, listen: { host } }),
    );
    const { port } = proxy;
    const to = host.includes('::') ? '::1' : '127.0.0.1';
    for (let round = 0; round < 3; round += 1) {
      proxy.faults.set('down');
      expect(await connects(to, port)).toBe(false);
      await proxy.heal();
      expect(await connects(to, port)).toBe(true);
    }
    expect(proxy.port).toBe(port);
  },
);

const onLinux = testUnless(
  process.platform === 'linux' ? undefined : 'only Linux lists the sockets of the machine in /proc',
);

/** Whether any socket of this machine has the port of the loopback address; the system gives it to nobody then. */
async function isHeld(port: number): Promise<boolean> {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const sockets = (await readFile('/proc/net/tcp', 'latin1')).split('\n');
  return sockets.some((line) => line.trim().split(/\s+/)[1] === local);
}

onLinux(
  'while a proxy refuses, its port is given to no other process that asks for a free one',
  async () => {
    const proxy = closeAfterTest(await createFaultProxy({ target: { port: portOf(server) } }));
    const { port } = proxy;
    for (let round = 0; round < 3; round += 1) {
      proxy.faults.set('down');
      while (await connects('127.0.0.1', port));
      expect(await isHeld(port)).toBe(true);
      await proxy.heal();
      expect(await connects('127.0.0.1', port)).toBe(true);
    }
    await proxy.close();
    while (await isHeld(port));
  },
);

/** Another process that has taken a port. */
async function openThief(port: number): Promise<() => Promise<void>> {
  const script = `require('node:net').createServer().listen(${port}, '127.0.0.1', () => process.send('taken'))`;
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as const;
  const child = spawn(process.execPath, ['-e', script], { stdio: [...stdio] });
  await once(child, 'message');
  const exited = once(child, 'exit');
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  closeAfterTest({ [Symbol.asyncDispose]: end });
  return end;
}

test('a proxy whose port another process took says so, and comes back by itself once it is free', async () => {
  const clock = createFakeClock();
  const proxy = closeAfterTest(await createFaultProxy({ target: { port: portOf(server) }, clock }));
  const failures: unknown[] = [];
  proxy.on('listenFailed', ({ error }) => failures.push(error));
  const refusal = { code: 'FAULTS_PROXY_LISTEN_FAILED', cause: { code: 'EADDRINUSE' } };
  proxy.faults.set('down', { schedule: { forMs: 1_000 } });
  const giveBack = await openThief(proxy.port);
  // A schedule has nobody to tell but those who listen.
  await clock.advance(1_000);
  while (failures.length < 1) await quiet();
  await expect(proxy.heal()).rejects.toMatchObject(refusal);
  await expect(proxy.accept()).rejects.toMatchObject(refusal);
  const received = failures.length;
  await clock.advance(250);
  while (failures.length === received) await quiet();
  expect(failures[0]).toMatchObject(refusal);
  await giveBack();
  await clock.advance(250);
  await proxy.accept();
  const socket = connect(proxy.port, proxy.host);
  expect(await fate(socket)).toBe('FIN');
  expect(clock.pendingTimers).toBe(0);
});

test('a proxy that is to refuse, or is closed, takes its port back no longer', async () => {
  const clock = createFakeClock();
  const proxy = closeAfterTest(await createFaultProxy({ target: { port: portOf(server) }, clock }));
  proxy.refuse();
  const giveBack = await openThief(proxy.port);
  await expect(proxy.accept()).rejects.toMatchObject({ code: 'FAULTS_PROXY_LISTEN_FAILED' });
  proxy.refuse();
  expect(clock.pendingTimers).toBe(0);
  await expect(proxy.accept()).rejects.toMatchObject({ code: 'FAULTS_PROXY_LISTEN_FAILED' });
  await proxy.close();
  expect(clock.pendingTimers).toBe(0);
  await giveBack();
});
