/**
 * Measures the cost of the fault proxy without a fault: in a worker, next to a direct connection, a proxy of
 * `pipe`, and HAProxy if it is installed; and how close the achieved delay is to the requested one.
 * The server answers `+PONG` to `PING`, as Redis does, in a separate process; the other proxies also run in
 * separate processes, or they would share a core with the measuring client. The result is the median over
 * short rounds, each compared with the others of the same time.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker, parentPort, workerData } from 'node:worker_threads';
import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { type Contender, type Measured, compare, table } from './measuring/measure.ts';

const PING = Buffer.from('*1\r\n$4\r\nPING\r\n');
const PONG = Buffer.from('+PONG\r\n');
const PIPELINE = 16;
const CONNECTIONS = 50;
/** Odd, so that the median is a measured round; short, so that the compared rounds are close in time. */
const ROUNDS = 25;
const ROUND_MS = 100;
const OURS = 'fault proxy in a worker, no fault';

const [role, targetPort = ''] = process.argv.slice(2);
const children: ChildProcess[] = [];

if (parentPort !== null) {
  const { port } = await ours(Number(workerData));
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort.postMessage(port);
} else if (role === 'bench-server') await serve();
else if (role === 'bench-pipe') await pipe(Number(targetPort));
else await measureAll();

async function measureAll(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  let worker: Worker | undefined;
  try {
    const server = await startRole('bench-server');
    worker = new Worker(import.meta.filename, { workerData: server });
    const [own] = await once(worker, 'message');
    const ports = new Map<string, number>([
      [OURS, Number(own)],
      ['direct', server],
      ['Node, pipe', await startRole('bench-pipe', server)],
    ]);
    const balanced = await startHaproxy(directory, server);
    if (balanced === undefined)
      process.stdout.write('HAProxy is not installed; its row is omitted.\n');
    else ports.set('HAProxy', balanced);
    await round(ports, { connections: 1, pipeline: 1 });
    await round(ports, { connections: CONNECTIONS, pipeline: 1 });
    await round(ports, { connections: CONNECTIONS, pipeline: PIPELINE });
    await accuracy(server);
  } finally {
    await worker?.terminate();
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

async function round(
  ports: ReadonlyMap<string, number>,
  load: { connections: number; pipeline: number },
): Promise<void> {
  const contenders = await Promise.all(
    [...ports].map(([name, port]) => client(name, port, load.connections, load.pipeline)),
  );
  const rounds: Measured[][] = [];
  for (let turn = 0; turn < ROUNDS; turn += 1) {
    // Each round starts with another contender; a busy machine affects all contenders of a round alike.
    const order = contenders.map((_, at) => contenders[(at + turn) % contenders.length]);
    const inTurn = order.filter((contender) => contender !== undefined);
    rounds.push(
      await compare(inTurn, { inFlight: load.connections, rounds: 1, roundMs: ROUND_MS }),
    );
  }
  for (const contender of contenders) await contender.close?.();
  const of = (shown: readonly Measured[], name: string): Measured | undefined =>
    shown.find((measured) => measured.name === name);
  const overRounds = (read: (shown: readonly Measured[]) => number): number =>
    median(rounds.map(read));
  const names = [...ports.keys()];
  const summary = names.map((name): Measured => ({
    name,
    perSecond: overRounds((shown) => of(shown, name)?.perSecond ?? Number.NaN),
    p50Ms: overRounds((shown) => of(shown, name)?.p50Ms ?? Number.NaN),
    p99Ms: overRounds((shown) => of(shown, name)?.p99Ms ?? Number.NaN),
  }));
  const title = `${load.connections} connections, ${load.pipeline} a batch`;
  process.stdout.write(`${table(title, summary)}\n`);
  const share = (name: string, other: string): number =>
    overRounds((shown) => (of(shown, name)?.perSecond ?? 0) / (of(shown, other)?.perSecond ?? 0));
  for (const name of names.filter((each) => each !== 'direct')) {
    const addedMs = overRounds(
      (shown) => (of(shown, name)?.p50Ms ?? 0) - (of(shown, 'direct')?.p50Ms ?? 0),
    );
    const percent = Math.round(share(name, 'direct') * 100);
    process.stdout.write(
      `${name}: +${Math.round(addedMs * 1_000)} µs at the median, ${percent} % of direct\n`,
    );
  }
  if (names.includes('HAProxy')) {
    process.stdout.write(`${OURS}: ${Math.round(share(OURS, 'HAProxy') * 100)} % of HAProxy\n`);
  }
  process.stdout.write('\n');
}

/** Measures how much later than requested bytes leave a delaying proxy. */
async function accuracy(target: number): Promise<void> {
  for (const latencyMs of [5, 20, 100]) {
    const proxy = await ours(target);
    proxy.faults.set('latency', { latencyMs, direction: 'toClient' });
    const contender = await client('delayed', proxy.port, 4, 1);
    await compare([contender], { inFlight: 4, rounds: 1, roundMs: 2_000 });
    const { p50Ms, p99Ms } = proxy.getStats().excessDelay;
    const over = `+${p50Ms.toFixed(2)} ms at the median, +${p99Ms.toFixed(2)} ms at p99`;
    process.stdout.write(`a delay of ${latencyMs} ms is achieved: ${over}\n`);
    await contender.close?.();
    await proxy.close();
  }
}

/** Uses a free connection for each operation: one batch of pings and all its answers. */
async function client(
  name: string,
  port: number,
  connections: number,
  pipeline: number,
): Promise<Contender> {
  const batch = Buffer.concat(Array.from({ length: pipeline }, () => PING));
  const sockets: Socket[] = [];
  for (let index = 0; index < connections; index += 1) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    sockets.push(socket);
  }
  const free = [...sockets];
  return {
    name,
    run: () =>
      new Promise<void>((resolve, reject) => {
        const socket = free.pop();
        if (socket === undefined) {
          reject(new RangeError('more operations than connections'));
          return;
        }
        let left = pipeline * PONG.length;
        const onData = (chunk: Buffer): void => {
          left -= chunk.length;
          if (left > 0) return;
          socket.off('data', onData);
          free.push(socket);
          resolve();
        };
        socket.on('data', onData);
        socket.write(batch);
      }),
    async close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function startRole(name: string, target?: number): Promise<number> {
  const args = [import.meta.filename, name, ...(target === undefined ? [] : [String(target)])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = await once(child.stdout, 'data');
  return Number(String(line));
}

async function startHaproxy(directory: string, target: number): Promise<number | undefined> {
  if (spawnSync('haproxy', ['-v']).status !== 0) return undefined;
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const port = portOf(probe);
  probe.close();
  const path = join(directory, 'haproxy.cfg');
  writeFileSync(
    path,
    `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen bench
  bind 127.0.0.1:${port}
  server one 127.0.0.1:${target}
`,
  );
  children.push(spawn('haproxy', ['-db', '-f', path], { stdio: 'ignore' }));
  await accepts(port, performance.now() + 5_000);
  return port;
}

async function accepts(port: number, deadlineMs: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } catch (error) {
    if (performance.now() > deadlineMs) throw error;
    await accepts(port, deadlineMs);
  } finally {
    socket.destroy();
  }
}

async function serve(): Promise<void> {
  const server = createServer({ noDelay: true }, (socket) => {
    let carriedBytes = 0;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      const bytes = carriedBytes + chunk.length;
      const pings = Math.floor(bytes / PING.length);
      carriedBytes = bytes % PING.length;
      if (pings > 0) socket.write(pings === 1 ? PONG : PONG.toString().repeat(pings));
    });
  });
  await announce(server);
}

async function pipe(target: number): Promise<void> {
  const server = createServer({ noDelay: true }, (socket) => {
    const upstream = connect({ port: target, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => upstream.destroy());
    upstream.on('error', () => socket.destroy());
    socket.pipe(upstream).pipe(socket);
  });
  await announce(server);
}

function ours(target: number): Promise<FaultProxy> {
  return createFaultProxy({ target: { port: target } });
}

async function announce(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.stdout.write(`${portOf(server)}\n`);
}

/** The median of the ratios of each round. */
function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (typeof address !== 'object' || address === null)
    throw new RangeError('the server does not listen');
  return address.port;
}
