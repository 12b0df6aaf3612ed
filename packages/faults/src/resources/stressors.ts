import { closeSync, openSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { AgentFaultKind, ResolvedResourceFault } from './resource-kinds.ts';
import { stepWallClock } from './wall-clock.ts';

/** Takes a resource in this process and resolves with a function that releases it. */
type Stressor = (fault: ResolvedResourceFault) => Promise<() => Promise<void>>;

const CHUNK_BYTES = 16_777_216;

/** Memory of a thread is released at once with it; memory of this thread would wait for the garbage collector. */
const HOLDER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const held = [];
  for (let left = workerData; left > 0; left -= ${CHUNK_BYTES}) held.push(Buffer.alloc(Math.min(left, ${CHUNK_BYTES}), 1));
  parentPort.on('message', () => held.length);
  parentPort.postMessage('held');
`;
const SPINNER = `require('node:worker_threads').parentPort.postMessage('spins'); while (true);`;

export const stressors: Readonly<Record<AgentFaultKind, Stressor>> = {
  memory: ({ amount }) => thread(HOLDER, amount),
  async stall({ forMs }) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
    return async () => {};
  },
  async cpu({ amount }) {
    const ends = await Promise.all(Array.from({ length: amount }, () => thread(SPINNER, 0)));
    return async () => void (await Promise.all(ends.map((end) => end())));
  },
  async descriptors({ amount }) {
    const open: number[] = [];
    const undo = async (): Promise<void> => {
      for (const file of open.splice(0)) closeSync(file);
    };
    try {
      while (open.length < amount) open.push(openSync('/dev/null', 'r'));
    } catch (error) {
      if (codeOf(error) !== 'EMFILE' && codeOf(error) !== 'ENFILE') {
        await undo();
        throw error;
      }
    }
    return undo;
  },
  async clock({ amount }) {
    stepWallClock(amount);
    return async () => stepWallClock(-amount);
  },
};

async function thread(code: string, data: number): Promise<() => Promise<void>> {
  const worker = new Worker(code, { eval: true, workerData: data });
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
  });
  worker.unref();
  return async () => void (await worker.terminate());
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
