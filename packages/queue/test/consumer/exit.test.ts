import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { createMemoryBackend, createQueueAdapter, createQueueOn } from '@holdfast/queue';

const run = promisify(execFile);

/** Runs a module that awaits promises of the queue and nothing else; Node exits with 13 when one never settles. */
async function output(script: string): Promise<string> {
  const names = [createMemoryBackend, createQueueAdapter, createQueueOn].map(({ name }) => name);
  const source = `
    import { ${names.join(', ')} } from '@holdfast/queue';
    ${script}
    process.stdout.write('settled');
  `;
  const options = { cwd: import.meta.dirname, timeout: 60_000 };
  const { stdout } = await run(
    process.execPath,
    ['--input-type=module', '--eval', source],
    options,
  );
  return stdout;
}

test.each([
  [
    'close of a memory queue with an idle consumer',
    `const queue = createQueueOn(createMemoryBackend());
     queue.process('t', () => undefined);
     await queue.close();`,
  ],
  [
    'close of a consumer, with nothing else open',
    `const queue = createQueueOn(createMemoryBackend());
     const consumer = queue.process('t', () => undefined);
     await queue.enqueue('t', 1);
     await consumer.close();
     await queue.close();`,
  ],
  [
    'a delayed job, and the retry of a failed one',
    `const queue = createQueueOn(createMemoryBackend());
     const handled = new Promise((resolve) => {
       queue.process('t', ({ attempt }) => {
         if (attempt === 1) throw new Error('not yet');
         resolve();
       }, { retryDelayMs: 700 });
     });
     await queue.enqueue('t', 1, { delayMs: 700 });
     await handled;
     await queue.close();`,
  ],
  [
    'the retry of a job with a key',
    `const queue = createQueueOn(createMemoryBackend(), { topics: { t: { partitions: 1 } } });
     const handled = new Promise((resolve) => {
       queue.process('t', ({ attempt }) => {
         if (attempt === 1) throw new Error('not yet');
         resolve();
       }, { retryDelayMs: 700 });
     });
     await queue.enqueue('t', 1, { key: 'a' });
     await handled;
     await queue.close();`,
  ],
  [
    'close while a handler outlives its deadline',
    `const queue = createQueueOn(createMemoryBackend());
     const started = new Promise((resolve) => {
       queue.process('t', () => { resolve(); return new Promise(() => undefined); });
     });
     await queue.enqueue('t', 1);
     await started;
     await queue.close({ deadlineMs: 500 });`,
  ],
  [
    'ready, enqueue and close without a Redis',
    `const queue = createQueueAdapter({ redis: { url: 'redis://127.0.0.1:1' } });
     queue.process('t', () => undefined);
     await queue.ready();
     await queue.enqueue('t', 1);
     await queue.close({ deadlineMs: 500 }).catch((error) => {
       if (error.code !== 'QUEUE_UNDRAINED') throw error;
     });`,
  ],
])('%s: what is awaited settles before the process exits', async (_, script) => {
  await expect(output(script)).resolves.toBe('settled');
});
