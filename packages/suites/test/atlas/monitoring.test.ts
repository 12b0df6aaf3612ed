/* oxlint-disable jest/no-standalone-expect, jest/expect-expect, jest/no-disabled-tests -- withPromtool is test, or test.skip where there is no promtool */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ShadowAtlasAPI } from '@holdfast/atlas/api';
import { environment } from '@holdfast/foundation';

const dashboards = join(import.meta.dirname, '../../../resilience/dashboards');
/** `PROMTOOL_PATH`, or the one on PATH. */
const promtool = [
  environment['PROMTOOL_PATH'] ?? '',
  ...(environment['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'promtool')),
].find((path) => path !== '' && isExecutable(path));

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function withPromtool(name: string, work: () => Promise<void>): void {
  if (promtool !== undefined) {
    test(name, work);
    return;
  }
  // `apt-get install prometheus` brings it.
  test.skip(`${name} (no promtool on PATH or PROMTOOL_PATH)`, work);
}

function check(command: string[], input?: string): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(promtool ?? '', ['check', ...command], {
    encoding: 'utf8',
    input,
  });
  return { status, output: stdout + stderr };
}

const CIRCUIT = 'circuit_breaker_state{name="api-server",key="district-lookup"}';

let api: ShadowAtlasAPI;
let url: string;
beforeEach(async () => {
  api = new ShadowAtlasAPI({ retry: { initialDelayMs: 1, maxDelayMs: 1 } });
  url = await api.listen();
});
afterEach(() => api.close());

const scrape = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
const valueOf = (text: string, series: string): number => {
  const line = text.split('\n').find((each) => each.startsWith(series)) ?? '';
  return Number(line.slice(line.lastIndexOf(' ')));
};
const ask = async (): Promise<number> => (await fetch(`${url}/lookup?lat=40&lon=-90`)).status;

test('an outage is in the numbers that the dashboard and the alerts of the guide ask for', async () => {
  const before = await scrape();
  expect(valueOf(before, 'bulkhead_active{name="api-server"}')).toBe(0);
  expect(await ask()).toBe(200);
  expect(valueOf(await scrape(), CIRCUIT)).toBe(0);
  api.lookupService.lookup = async () => {
    throw new Error('Database unavailable');
  };
  const startS = Date.now() / 1_000;
  for (let call = 0; call < 6; call += 1) await fetch(`${url}/lookup?lat=41&lon=-90`);
  expect(await fetch(`${url}/lookup?lat=41&lon=-90`)).toMatchObject({ status: 503 });
  expect(await ask()).toBe(200);
  const after = await scrape();
  expect(valueOf(after, CIRCUIT)).toBe(1);
  const changedS = valueOf(
    after,
    'circuit_breaker_last_state_change{name="api-server",key="district-lookup"}',
  );
  expect(Math.abs(changedS - startS)).toBeLessThan(30);
  expect(valueOf(after, 'retry_attempts_total{operation="api-server"}')).toBeGreaterThan(0);
  expect(valueOf(after, 'bulkhead_rejected_total{name="api-server"}')).toBe(0);
  expect(valueOf(after, 'atlas_stale_answers_total{')).toBe(1);
});

withPromtool('Prometheus takes the scrape, and the rules of the alerts', async () => {
  await ask();
  const scraped = check(['metrics'], await scrape());
  expect(scraped.output).not.toMatch(/error/i);
  const rules = check(['rules', join(dashboards, 'alerts.yml')]);
  expect(rules.output).toContain('SUCCESS');
  expect(rules.status).toBe(0);
});
