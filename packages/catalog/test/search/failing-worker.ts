/**
 * A worker that fails on its first message. By the bound that it is given: over 0 it exits with it, at 0 it throws, at
 * -1 it says nothing, at -2 it answers and is busy for ever.
 */
import { parentPort, workerData } from 'node:worker_threads';

parentPort?.on('message', () => {
  if (workerData.maxBytes > 0) process.exit(workerData.maxBytes);
  if (workerData.maxBytes === 0) throw new Error('broken on purpose');
  if (workerData.maxBytes === -2) parentPort?.postMessage({ kind: 'added' }, []);
  while (workerData.maxBytes === -2);
});
