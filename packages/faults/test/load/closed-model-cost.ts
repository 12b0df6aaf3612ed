/**
 * Prints the closed model's CPU time a request and its throughput, each as a ratio to a plain loop: of short rounds in
 * turn, those least disturbed by other processes. A request takes as long as a small one over HTTP:
 * five round trips of a few bytes to an echo.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { generateLoad } from '@holdfast/faults';
import { portOf } from '../servers.ts';

const ROUNDS = 40;
const ROUND_MS = 80;

const server = createServer({ noDelay: true }, (socket) => socket.pipe(socket));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const socket = connect({ port: portOf(server), host: '127.0.0.1', noDelay: true });
await once(socket, 'connect');
let answered = (): void => {};
socket.on('data', () => answered());
async function request(): Promise<void> {
  for (let trip = 0; trip < 5; trip += 1) {
    await new Promise<void>((resolve) => {
      answered = resolve;
      socket.write('ping');
    });
  }
}

async function plain(): Promise<number> {
  const endMs = performance.now() + ROUND_MS;
  let requests = 0;
  while (performance.now() < endMs) {
    await request();
    requests += 1;
  }
  return requests;
}

async function ours(): Promise<number> {
  const { succeeded } = await generateLoad(request, { durationMs: ROUND_MS, users: 1 });
  return succeeded;
}

async function measure(loop: () => Promise<number>): Promise<{ cpu: number; requests: number }> {
  const began = process.cpuUsage();
  const requests = await loop();
  const { user, system } = process.cpuUsage(began);
  return { cpu: (user + system) / requests, requests };
}

const cpu: number[] = [];
const throughput: number[] = [];
for (let round = -10; round < ROUNDS; round += 1) {
  const first = await measure(round % 2 === 0 ? plain : ours);
  const second = await measure(round % 2 === 0 ? ours : plain);
  const [theirs, own] = round % 2 === 0 ? [first, second] : [second, first];
  if (round < 0) continue;
  cpu.push(own.cpu / theirs.cpu);
  throughput.push(own.requests / theirs.requests);
}
const of = (ratios: readonly number[], share: number): number =>
  ratios.toSorted((one, other) => one - other)[Math.floor(ratios.length * share)] ?? Number.NaN;
process.stdout.write(
  `${JSON.stringify({ cpu: of(cpu, 0.1), throughput: of(throughput, 0.75) })}\n`,
);
socket.destroy();
server.close();
