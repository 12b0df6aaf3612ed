import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openStage } from '@holdfast/stage';
import { EXAMPLES, openExamples } from '../../src/examples/example.ts';

const fixture = openExamples();
afterAll(() => fixture.close());

test('the module of the Next.js example gives one queue to each reload and to each bundle that has it', async () => {
  const stage = await openStage({ redis: true });
  const folder = await fixture.directory();
  await symlink(join(EXAMPLES, 'worker/node_modules'), join(folder, 'node_modules'));
  const text = await readFile(join(EXAMPLES, 'next/queue/jobs.ts'), 'utf8');
  await writeFile(join(folder, 'jobs.ts'), text);
  await writeFile(
    join(folder, 'main.mjs'),
    `const loads = await Promise.all([1, 2, 3].map((load) => import('./jobs.ts?' + load)));
    const accepted = await Promise.all(loads.map(({ jobs }) => jobs.enqueue('orders', {})));
    console.log('queues', new Set(loads.map(({ jobs }) => jobs)).size, 'modules', new Set(loads).size);
    console.log('accepted', ...accepted.map((one) => one.accepted));
    await loads[0].jobs.close();`,
  );
  const env = { REDIS_URL: stage.redis.url, JOBS_DIRECTORY: join(folder, 'jobs') };
  const reloads = fixture.start({ folder, entry: 'main.mjs', env });
  expect(await reloads.line(/^queues/)).toBe('queues 1 modules 3');
  expect(await reloads.line(/^accepted/)).toBe('accepted redis redis redis');
  await stage.close();
});
