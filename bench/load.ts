/**
 * Compares the load generator with a plain loop, autocannon and wrk (where it is installed; Debian's package `wrk`):
 * the throughput of a closed load, and what each reports of a service that stands still for a second. The service is a
 * process of its own that answers `GET /` with a few bytes; after `GET /stall` it answers nothing for a second.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { generateLoad } from '@holdfast/faults';
import autocannon from 'autocannon';

const CONNECTIONS = 10;
const ROUNDS = 7;
const ROUND_MS = 1_000;
const STALL_MS = 1_000;
/** The rate of the load under which the service stands still, and its duration. */
const RATE = 500;
const STALLED_LOAD_MS = 5_000;

if (process.argv[2] === 'bench-service') await serve();
else await measureAll();

async function serve(): Promise<void> {
  let freeAtMs = 0;
  const server = createServer((request, response) => {
    if (request.url === '/stall') freeAtMs = performance.now() + STALL_MS;
    const waitMs = freeAtMs - performance.now();
    if (waitMs > 0) setTimeout(() => response.end('answer'), waitMs);
    else response.end('answer');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address: AddressInfo | string | null = server.address();
  process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`);
}

async function measureAll(): Promise<void> {
  const service: ChildProcess = spawn(process.execPath, [import.meta.filename, 'bench-service'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    if (service.stdout === null) throw new RangeError('the service says no port');
    const [line] = await once(service.stdout, 'data');
    const port = Number(String(line));
    await throughput(port);
    await stall(port);
  } finally {
    service.kill('SIGKILL');
  }
}

function client(port: number): () => Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  return () =>
    new Promise((resolve, reject) => {
      const request = get({ port, host: '127.0.0.1', agent }, (response) => {
        response.on('end', resolve).resume();
      });
      request.on('error', reject);
    });
}

/** Requests a second of each generator, in turn; the best round, which a busy machine disturbed least. */
async function throughput(port: number): Promise<void> {
  const request = client(port);
  const contenders: readonly (readonly [string, () => Promise<number>])[] = [
    [
      'generateLoad',
      async () =>
        (await generateLoad(request, { durationMs: ROUND_MS, users: CONNECTIONS }))
          .succeededPerSecond,
    ],
    ['plain loop', () => plainLoop(request)],
    ['autocannon', async () => (await cannon(port, ROUND_MS)).requests.average],
    ...(hasWrk() ? [['wrk', async () => (await wrk(port, ROUND_MS)).perSecond] as const] : []),
  ];
  const rates = new Map<string, number[]>(contenders.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, run] of contenders) rates.get(name)?.push(await run());
  }
  const best = (name: string): number => Math.max(...(rates.get(name) ?? []));
  process.stdout.write(
    `| closed load, ${CONNECTIONS} users | requests a second | of a plain loop |\n|---|---:|---:|\n`,
  );
  for (const name of rates.keys()) {
    const share = Math.round((best(name) / best('plain loop')) * 100);
    process.stdout.write(
      `| ${name} | ${Math.round(best(name)).toLocaleString('en')} | ${share} % |\n`,
    );
  }
}

async function plainLoop(request: () => Promise<void>): Promise<number> {
  const endMs = performance.now() + ROUND_MS;
  let requests = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await request();
      requests += 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, loop));
  return (requests / ROUND_MS) * 1_000;
}

/** The p99 of a load of 500 a second for five seconds, one of which the service stands still: the truth is near 950 ms. */
async function stall(port: number): Promise<void> {
  const request = client(port);
  const stallOnce = (): void => {
    setTimeout(() => {
      get({ port, host: '127.0.0.1', path: '/stall' }, (response) => response.resume());
    }, 2_000);
  };
  process.stdout.write(`\n| ${RATE} a second, a stall of ${STALL_MS} ms | p99 |\n|---|---:|\n`);
  const row = (name: string, p99Ms: number): void =>
    void process.stdout.write(`| ${name} | ${Math.round(p99Ms)} ms |\n`);
  stallOnce();
  const open = await generateLoad(request, { durationMs: STALLED_LOAD_MS, ratePerSecond: RATE });
  row('generateLoad, open', open.latency.p99Ms);
  stallOnce();
  const users = await generateLoad(request, { durationMs: STALLED_LOAD_MS, users: CONNECTIONS });
  row('generateLoad, closed', users.latency.p99Ms);
  stallOnce();
  row('autocannon, overallRate', (await cannon(port, STALLED_LOAD_MS, RATE)).latency.p99);
  if (!hasWrk()) return;
  stallOnce();
  row('wrk', (await wrk(port, STALLED_LOAD_MS)).p99Ms);
}

function cannon(
  port: number,
  durationMs: number,
  overallRate?: number,
): Promise<autocannon.Result> {
  return autocannon({
    url: `http://127.0.0.1:${port}/`,
    connections: CONNECTIONS,
    duration: durationMs / 1_000,
    ...(overallRate === undefined ? {} : { overallRate }),
  });
}

function hasWrk(): boolean {
  return spawnSync('wrk', ['-v']).error === undefined;
}

async function wrk(
  port: number,
  durationMs: number,
): Promise<{ perSecond: number; p99Ms: number }> {
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${durationMs / 1_000}`, '--latency'];
  const { stdout } = await promisify(execFile)('wrk', [...args, `http://127.0.0.1:${port}/`]);
  const [, perSecond] = /Requests\/sec:\s*([\d.]+)/.exec(stdout) ?? [];
  const [, p99, unit] = /99%\s*([\d.]+)(us|ms|s)/.exec(stdout) ?? [];
  const scale = { us: 0.001, ms: 1, s: 1_000 };
  const factor = unit === 'us' || unit === 'ms' || unit === 's' ? scale[unit] : Number.NaN;
  return { perSecond: Number(perSecond), p99Ms: Number(p99) * factor };
}
