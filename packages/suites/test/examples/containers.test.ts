import { spawnSync } from 'node:child_process';
import { afterAll, expect, test } from '@jest/globals';
import { environment } from '@holdfast/foundation';
import { openExamples } from '../../src/examples/example.ts';
import { comparisonsOf, runBlock } from '../../src/examples/page-blocks.ts';

const PROBE_TIMEOUT_MS = 5_000;
const image = environment['HOLDFAST_IMAGE_REDIS'] ?? 'redis:8';
const { status } = spawnSync('docker', ['image', 'inspect', image], { timeout: PROBE_TIMEOUT_MS });

const fixture = openExamples();
afterAll(() => fixture.close());

const obstacle = status === 0 ? '' : ` (no image ${image})`;
// Without an engine that has the image there is nothing to start: the name says so.
const testOnEngine = status === 0 ? test : test.skip;

testOnEngine(`Testcontainers: the code of the page restarts a Redis${obstacle}`, async () => {
  const [comparison] = await comparisonsOf('from-testcontainers-and-toxiproxy.md');
  const program = await runBlock(fixture, comparison?.code.peer ?? '', {
    REDIS_IMAGE: image,
    // Its reaper is a further image; the block stops its container itself.
    TESTCONTAINERS_RYUK_DISABLED: 'true',
  });
  expect(await program.ended()).toBe(0);
  expect(program.lines).toEqual(['PONG', 'PONG']);
});
