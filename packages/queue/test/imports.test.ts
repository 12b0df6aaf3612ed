import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { createQueueAdapter } from '@holdfast/queue';

const run = promisify(execFile);

/** Loads an entry point while its optional peers cannot be imported. */
function load(entry: string): Promise<{ stdout: string }> {
  return runWithoutPeers(`
    const { createQueueAdapter, createBullmqBackend } = await import('${entry}');
    process.stdout.write(typeof (createQueueAdapter ?? createBullmqBackend));
  `);
}

function runWithoutPeers(program: string): Promise<{ stdout: string }> {
  const script = `
    import { registerHooks } from 'node:module';
    registerHooks({
      resolve(specifier, context, next) {
        if (/^(bullmq|croner|prom-client|@opentelemetry)/u.test(specifier)) throw new Error('imported ' + specifier);
        return next(specifier, context);
      },
    });
    ${program}
  `;
  return run(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
  });
}

test('importing the queue loads neither BullMQ nor other optional peers', async () => {
  const stdout = typeof createQueueAdapter;
  await expect(load('@holdfast/queue')).resolves.toMatchObject({ stdout });
});

test('the BullMQ entry point imports BullMQ', async () => {
  await expect(load('@holdfast/queue/bullmq')).rejects.toThrow('imported bullmq');
});

test('without croner, intervals are scheduled, and a pattern is refused with what to install', async () => {
  const { stdout } = await runWithoutPeers(`
    const { createMemoryBackend, createQueueOn } = await import('@holdfast/queue');
    const queue = createQueueOn(createMemoryBackend());
    await queue.schedule('interval', { everyMs: 1_000 }, 't', null);
    const refused = await queue.schedule('pattern', { cron: '@daily' }, 't', null).catch((error) => error);
    const names = queue.schedules().map(({ name }) => name);
    await queue.close();
    process.stdout.write(JSON.stringify([names, refused.code, refused.peer]));
  `);
  expect(JSON.parse(stdout)).toEqual([['interval'], 'QUEUE_PEER_MISSING', 'croner']);
});
