/** The thread that answers probes, also while the main thread does not turn. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '@holdfast/foundation';
import type { ProbeAnswer, ProbeName } from '../health.ts';
import { captureMainStack } from './main-stack.ts';
import {
  type FromProbeServer,
  type ProbeServerData,
  type ToProbeServer,
  answerWhileStalled,
} from './messages.ts';
import { type StallState, nextStall } from './stall.ts';

const STACK_TIMEOUT_MS = 500;
const REQUEST_TIMEOUT_MS = 5_000;
const MAX_CONNECTIONS = 2_000;
const NOT_FOUND = 404;
const NOT_ALLOWED = 405;
const NO_STACK = [
  'no stack: the thread is in native code, such as a synchronous call of the system',
];

const data: ProbeServerData = workerData;
const beats = new Int32Array(data.beats);
const probes = new Map<string, ProbeName>([
  [data.paths.live, 'live'],
  [data.paths.ready, 'ready'],
  [data.paths.startup, 'startup'],
  [data.paths.health, 'health'],
]);
let answers = data.answers;
let stall: StallState = { beat: Atomics.load(beats, 0), tickedMs: systemClock.now(), stalledMs: 0 };
let stack: readonly string[] = [];
let longestMs = 0;

function send(message: FromProbeServer): void {
  parentPort?.postMessage(message, []);
}

function tick(): void {
  const wasStalled = stall.stalledMs >= data.unreadyAfterMs;
  stall = nextStall(stall, Atomics.load(beats, 0), systemClock.now(), data.beatMs);
  const isStalled = stall.stalledMs >= data.unreadyAfterMs;
  if (isStalled) longestMs = stall.stalledMs;
  if (isStalled && !wasStalled) {
    stack = [];
    if (data.stack) void readStack();
  }
  if (wasStalled && !isStalled) send({ kind: 'stalled', stalledMs: longestMs, stack });
  systemClock.schedule(data.beatMs, tick);
}

async function readStack(): Promise<void> {
  stack = (await captureMainStack(systemClock, STACK_TIMEOUT_MS)) ?? NO_STACK;
}

function answerOf(probe: ProbeName): ProbeAnswer {
  const { stalledMs } = stall;
  if (stalledMs < data.unreadyAfterMs) return answers[probe];
  return answerWhileStalled(probe, answers[probe], { stalledMs, stack }, data.deadAfterMs);
}

const server = createServer((request, response) => {
  const path = request.url?.split('?', 1)[0] ?? '';
  const probe = probes.get(path);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (probe === undefined || !isRead) {
    response.writeHead(probe === undefined ? NOT_FOUND : NOT_ALLOWED).end();
    return;
  }
  const { statusCode, headers, body } = answerOf(probe);
  response.writeHead(statusCode, headers).end(request.method === 'HEAD' ? undefined : body);
});
server.requestTimeout = REQUEST_TIMEOUT_MS;
server.headersTimeout = REQUEST_TIMEOUT_MS;
server.maxConnections = MAX_CONNECTIONS;
server.on('error', (error) => {
  throw error;
});
parentPort?.on('message', (message: ToProbeServer) => {
  answers = message;
});
server.listen(data.port, data.host, () => {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') return;
  send({ kind: 'listening', port: address.port });
});
tick();
