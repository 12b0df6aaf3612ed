/**
 * Runs in a network of its own: a server and a client of it, with a partition between them: the kernel drops every packet
 * of the server. Prints how a connect and a read end, and whether the same works when the packets flow again.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { propertyOf, systemClock } from '@holdfast/foundation';
import { createDialer } from '@holdfast/network';

const TIMEOUT_MS = 400;
/** A busy machine is slower; without a deadline it would be minutes. */
const LATEST_MS = 5_000;
const run = (command: string): void => {
  const [file = '', ...args] = command.split(' ');
  execFileSync(file, args, { stdio: 'ignore' });
};

run('ip link set lo up');
// Rules are looked up before the routes to this machine's own addresses.
run('ip rule add pref 100 lookup local');
run('ip rule del pref 0');
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
const dialer = createDialer({ allowPrivate: true, timeoutMs: TIMEOUT_MS });
const target = { hostname: '127.0.0.1', port, secure: false };

const { socket: kept } = await dialer.dial(target);

async function readFrom(socket: typeof kept): Promise<unknown> {
  socket.write('question');
  try {
    const [data] = await once(socket, 'data', { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return String(data);
  } catch (error) {
    return propertyOf(propertyOf(error, 'cause'), 'name');
  }
}

async function timed(work: () => Promise<unknown>): Promise<{ result: unknown; tookMs: number }> {
  const startMs = systemClock.now();
  const result = await work();
  return { result, tookMs: systemClock.now() - startMs };
}

run(`ip rule add pref 10 ipproto tcp sport ${port} blackhole`);
const connect = await timed(async () => {
  try {
    (await dialer.dial(target)).socket.destroy();
    return 'connected';
  } catch (error) {
    return [propertyOf(error, 'code'), propertyOf(error, 'phase')];
  }
});
const read = await timed(() => readFrom(kept));
run('ip rule del pref 10');
const { socket: healed } = await dialer.dial(target, { timeoutMs: 10_000 });
process.stdout.write(
  JSON.stringify({
    connect: connect.result,
    read: read.result,
    isInTime: connect.tookMs < LATEST_MS && read.tookMs < LATEST_MS,
    healed: await readFrom(healed),
  }),
);
process.exit();
