/**
 * A service with few descriptors: `ulimit -n 64; node descriptors-main.ts <options>`. It writes its port, serves until
 * its input ends, and writes what it saw. Each request reads a file and asks an upstream by name.
 */
import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, type Socket, connect, createServer as createNetServer } from 'node:net';
import { once } from 'node:events';
import { nextEvent } from '@holdfast/foundation';
import { createBudget, createDescriptorPool, listenWithinBudget } from '@holdfast/network/limits';
import { optionsOf } from './child.ts';

export interface DescriptorsOptions {
  readonly guarded: boolean;
  /** `serve` clients, or wait for descriptors that another part of the process holds. */
  readonly run: 'serve' | 'wait';
}

/** What the process saw. */
export interface DescriptorsReport {
  readonly served: number;
  /** The codes of failed files, lookups and connections. */
  readonly codes: readonly string[];
  readonly pauses: number;
  readonly refused: number;
  readonly limit: number;
}

export interface WaitReport {
  readonly order: readonly number[];
  readonly inTime: { readonly code: unknown; readonly cause: unknown };
  readonly exhausted: number;
  /** Files and sockets that were opened after the shortage. */
  readonly opened: number;
  readonly leftOpen: number;
}

const { guarded, run } = optionsOf<DescriptorsOptions>();
const codes: string[] = [];
const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error
    ? String(error.code)
    : String(error);
const budget = createBudget({ limits: { descriptors: 64 - 16 - openNow() } });
const pool = createDescriptorPool({ budget, timeoutMs: 20_000 });

function openNow(): number {
  const probe = openSync('/dev/null', 'r');
  closeSync(probe);
  return probe;
}

async function serve(): Promise<void> {
  let served = 0;
  const work = async (port: number): Promise<void> => {
    const target = { port, host: 'localhost', family: 4 };
    if (guarded) {
      const file = await pool.openFile(import.meta.filename);
      await file.handle.read(Buffer.alloc(100), 0, 100, 0);
      await file.release();
      const upstream = await pool.connect(target);
      await drained(upstream.handle);
      await upstream.release();
    } else {
      const file = await open(import.meta.filename);
      await file.read(Buffer.alloc(100), 0, 100, 0);
      await file.close();
      await drained(connect(target));
    }
  };
  const upstream = createNetServer((socket) => socket.on('error', () => {}).end('upstream'));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const upstreamPort = portOf(upstream.address());
  const server = createServer((_, response) => {
    work(upstreamPort).then(
      () => {
        served += 1;
        response.end('served');
      },
      (error: unknown) => {
        codes.push(codeOf(error));
        response.writeHead(500).end(codeOf(error));
      },
    );
  });
  const at = { port: 0, host: '127.0.0.1' };
  const listener = guarded ? await listenWithinBudget(server, at, { budget }) : undefined;
  if (listener === undefined) await once(server.listen(at), 'listening');
  process.stdout.write(`${portOf((listener ?? server).address())}\n`);
  await once(process.stdin.resume(), 'end');
  const { pauses = 0, refused = 0 } = listener?.getStats() ?? {};
  const limit = budget.getStats().limits.descriptors;
  const report: DescriptorsReport = { served, codes, pauses, refused, limit };
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

async function drained(socket: Socket): Promise<void> {
  socket.resume();
  await once(socket, 'close');
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** All descriptors are taken by something that the pool does not know of. */
async function wait(): Promise<void> {
  const upstream = createNetServer((socket) => socket.on('error', () => {}).end('bye'));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const port = portOf(upstream.address());
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // EMFILE
  }
  const late = await pool.openFile(import.meta.filename, { timeoutMs: 300 }).then(
    () => ({ code: 'opened', cause: undefined }),
    (error: Error) => ({ code: codeOf(error), cause: codeOf(error.cause) }),
  );
  const order: number[] = [];
  const exhausted = nextEvent(pool, 'exhausted');
  const calls = Array.from({ length: 12 }, async (_, call) => {
    const lease =
      call % 3 === 2
        ? await pool.connect({ port, host: 'localhost', family: 4 })
        : await pool.openFile(import.meta.filename);
    order.push(call);
    if ('resume' in lease.handle) await drained(lease.handle);
    await lease.release();
  });
  await exhausted;
  // Each comes free by itself, while the calls wait.
  for (const descriptor of taken) {
    closeSync(descriptor);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const settled = await Promise.allSettled(calls);
  const stats = pool.getStats();
  const report: WaitReport = {
    order,
    inTime: late,
    exhausted: stats.exhausted,
    opened: settled.filter(({ status }) => status === 'fulfilled').length,
    leftOpen: stats.inUse + stats.idle,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

await (run === 'serve' ? serve() : wait());
