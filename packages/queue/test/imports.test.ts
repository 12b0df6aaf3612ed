import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { createQueueAdapter } from '@holdfast/queue';

const run = promisify(execFile);

/** Loads an entry point where the peers it can do without cannot be had. */
function load(entry: string): Promise<{ stdout: string }> {
  const script = `
    import { registerHooks } from 'node:module';
    registerHooks({
      resolve(specifier, context, next) {
        if (/^(bullmq|prom-client|@opentelemetry)/u.test(specifier)) throw new Error('asked for ' + specifier);
        return next(specifier, context);
      },
    });
    const { createQueueAdapter, createBullmqBackend } = await import('${entry}');
    process.stdout.write(typeof (createQueueAdapter ?? createBullmqBackend));
  `;
  return run(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
  });
}

test('the queue is loaded without BullMQ and the other peers it can do without', async () => {
  const stdout = typeof createQueueAdapter;
  await expect(load('@holdfast/queue')).resolves.toMatchObject({ stdout });
});

test('the BullMQ backend asks for BullMQ', async () => {
  await expect(load('@holdfast/queue/bullmq')).rejects.toThrow('asked for bullmq');
});
