import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import * as resilience from '@holdfast/resilience';

/** Every policy of the toolkit, used once, with a call still waiting wherever calls can wait. */
const script = `
  import * as policies from ${JSON.stringify(import.meta.resolve('@holdfast/resilience'))};
  const hourMs = 3_600_000;
  const never = () => new Promise(() => {});
  const bulkhead = policies.createBulkhead({ maxConcurrent: 1, queueTimeoutMs: hourMs });
  void bulkhead.execute(never);
  void bulkhead.acquire();
  const limiter = policies.createRateLimiter({ maxTokens: 1, refillRate: 1 });
  await limiter.acquire();
  void policies.createHedge({ delayMs: hourMs }).execute(never);
  void policies.createCoalescer().execute('a', never);
  void policies.createAdaptiveLimit().execute(never);
  void policies.createThrottle().execute(never);
  console.log('made', Object.keys(policies).length);
`;

test('policies with waiting calls let the process exit', async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script]);
  expect(stdout).toBe(`made ${Object.keys(resilience).length}\n`);
});
