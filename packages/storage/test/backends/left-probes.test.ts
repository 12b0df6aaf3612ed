import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import type { ServerCall, ServerFault } from '@holdfast/stage';
import { createStorage } from '../../src/create-storage.ts';
import { LeftProbes } from '../../src/backends/s3/left-probes.ts';
import { bytesSource } from '../../src/object/body.ts';
import { putOptions } from './put-options.ts';
import { openS3 } from './servers.ts';

const { signal } = new AbortController();
const closings: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closings.splice(0).toReversed()) await close();
});

test.each<[string, string, ServerFault]>([
  ['the removal is reset', 'DeleteObject', { kind: 'reset' }],
  ['the removal is answered 503', 'DeleteObject', { kind: 'error', status: 503, code: 'SlowDown' }],
  ['the probe is stored without an answer', 'PutObject', { kind: 'reset', when: 'after' }],
])('a probe is not left when %s, and is never listed', async (_, operation, fault) => {
  let isFaulty = true;
  let laterMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + laterMs };
  const faults = (call: ServerCall): ServerFault | undefined =>
    isFaulty && call.operation === operation && call.key.includes('.holdfast-probe-')
      ? fault
      : undefined;
  const { backend, close } = await openS3({ faults }, { clock });
  closings.push(close);
  const put = (key: string) => {
    const bytes = Buffer.from('x');
    const options = { ...putOptions(bytes), condition: 'absent' as const };
    return backend.put(key, bytesSource(bytes), options);
  };
  const keys = async (): Promise<string[]> => {
    const page = await backend.list('', { signal, limit: 100 });
    return page.kind === 'ok' ? page.value.objects.map(({ key }) => key) : [];
  };
  await put('k');
  const storage = createStorage({
    backends: [backend],
    journal: { directory: '/storage' },
    files: createMemoryFileSystem(),
  });
  closings.push(() => storage.close());
  const { objects } = await storage.list('');
  expect(objects.filter(({ key }) => key !== 'k')).toEqual([]);
  isFaulty = false;
  laterMs = 60_000;
  for (const key of ['l', 'm']) await put(key);
  const deadline = AbortSignal.timeout(10_000);
  while ((await keys()).some((key) => key.includes('probe')) && !deadline.aborted);
  expect((await keys()).filter((key) => key.includes('probe'))).toEqual([]);
});

test('what cannot be removed is tried once a minute, at the next write', async () => {
  const clock = createFakeClock();
  const left = new LeftProbes(clock);
  const tried: string[] = [];
  const sweep = (isGone: boolean) =>
    left.sweep(async (key) => {
      tried.push(key);
      return isGone;
    });
  await sweep(true);
  left.add('a');
  left.add('b');
  await sweep(false);
  await sweep(true);
  expect(tried).toEqual(['a']);
  await clock.advance(60_000);
  await sweep(true);
  await clock.advance(60_000);
  await sweep(true);
  expect(tried).toEqual(['a', 'a', 'b']);
});
