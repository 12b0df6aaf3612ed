/**
 * A service whose calls cost CPU, in slices between which others run, and its clients, in one process whose clock is its
 * processor time: `node overload-main.ts <options>`. More calls arrive than it can serve.
 */
import { once } from 'node:events';
import { Agent, type RequestListener, createServer, get } from 'node:http';
import { text } from 'node:stream/consumers';
import { propertyOf, sleep } from '@holdfast/foundation';
import { createOverloadGate, gateRequests } from '@holdfast/network/limits';
import { optionsOf } from './child.ts';
import { startCpuClock } from './cpu-clock.ts';

export interface OverloadOptions {
  readonly guarded: boolean;
  readonly calls: number;
  /** How many times as many calls arrive as are served. */
  readonly load: number;
  /** How many calls' time a client waits. */
  readonly patienceCalls: number;
}

export interface OverloadReport {
  readonly inTime: number;
  readonly refused: number;
  readonly givenUp: number;
  /** Handlers that were started for these calls. */
  readonly started: number;
  /** How long a refused call took, once the overload had lasted: 99 % of them at most so long. */
  readonly refusalP99Ms: number;
  readonly callMs: number;
}

const SLICES = 4;
const SLICE_MS = 2;
const CALIBRATION = 40;
const { guarded, calls, load, patienceCalls } = optionsOf<OverloadOptions>();
const clock = startCpuClock();
let started = 0;

const work: RequestListener = (_, response) => {
  started += 1;
  const slice = (left: number): void => {
    const untilMs = clock.now() + SLICE_MS;
    while (clock.now() < untilMs);
    if (left > 1) setImmediate(slice, left - 1);
    else response.end('served');
  };
  slice(SLICES);
};

const agent = new Agent({ keepAlive: true });

async function call(port: number, patienceMs: number): Promise<'inTime' | 'refused' | 'givenUp'> {
  const request = get({ port, host: '127.0.0.1', agent });
  const timer = clock.schedule(patienceMs, () => request.destroy());
  try {
    const [response] = await once(request, 'response');
    await text(response);
    return propertyOf(response, 'statusCode') === 200 ? 'inTime' : 'refused';
  } catch {
    return 'givenUp';
  } finally {
    timer.cancel();
  }
}

async function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Warmed up, one call after the other. */
async function timedCall(): Promise<number> {
  const port = await listen(work);
  let startMs = 0;
  for (let at = 0; at < 2 * CALIBRATION; at += 1) {
    if (at === CALIBRATION) startMs = clock.now();
    await call(port, 10_000);
  }
  return (clock.now() - startMs) / CALIBRATION;
}

const callMs = await timedCall();
const gate = createOverloadGate({
  clock,
  maxConcurrent: 2,
  budgetMs: Math.ceil(5 * callMs),
  overloadAfterMs: Math.ceil(5 * callMs),
  overloadBudgetMs: Math.ceil(callMs),
});
const port = await listen(guarded ? gateRequests(gate, work) : work);
started = 0;
const counts = { inTime: 0, refused: 0, givenUp: 0 };
const refusals: number[] = [];
const offered: Promise<void>[] = [];
const startMs = clock.now();
const offer = async (): Promise<void> => {
  const beganMs = clock.now();
  const outcome = await call(port, patienceCalls * callMs);
  counts[outcome] += 1;
  if (outcome === 'refused' && beganMs > startMs + 30 * callMs)
    refusals.push(clock.now() - beganMs);
};
while (offered.length < calls) {
  const due = Math.floor((load * (clock.now() - startMs)) / callMs);
  while (offered.length < Math.min(due, calls)) offered.push(offer());
  await sleep(clock, callMs / load / 2);
}
await Promise.all(offered);
refusals.sort((a, b) => a - b);
const refusalP99Ms = refusals[Math.floor(refusals.length * 0.99)] ?? 0;
const report: OverloadReport = { ...counts, started, refusalP99Ms, callMs };
clock.stop();
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
