/**
 * Measures what the unit tests of the published packages cover of their sources:
 *
 *   npm run test:coverage [-- package …]
 *
 * Prints a row for each package, writes `coverage.md`, `files.json` and `run.json` to `reports/coverage`, and exits with 1
 * when a test failed or a package has less than 90 % of its lines covered. A source counts as covered by the tests of
 * any of the packages that are measured, in all their processes: Node writes what each one ran (NODE_V8_COVERAGE).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { publishedPackagesIn, readRepository } from '../repository.ts';
import { type ScriptCoverage, addCounts } from './counts.ts';
import { coverageOf, sumOf } from './coverage.ts';
import { isBelow, renderTable } from './table.ts';

const root = join(import.meta.dirname, '../../../..');
const reports = join(root, 'reports/coverage');

/** Packages that only work with servers; the suites that run them against those count as tests of theirs. */
const SUITES: Readonly<Record<string, string>> = {
  cache: 'suites/test/network-failures/cache-redis',
  network: 'suites/test/network-failures/(fetch|dialing|names)/',
  queue: 'suites/test/redis-failover/jobs/(contract|bullmq)',
};

/** How often each position of a source ran, by its address. */
const counts = new Map<string, Float64Array>();

/** Runs the tests of a package, and adds what they ran; resolves with whether they passed. */
async function measure(name: string): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'hf-'));
  try {
    const [raw, temporary] = [join(folder, 'v8'), join(folder, 'tmp')];
    for (const each of [raw, temporary]) mkdirSync(each);
    // Processes that run as another user pass through, and write what they ran.
    chmodSync(folder, 0o711);
    for (const each of [raw, temporary]) chmodSync(each, 0o1777);
    const passed = await runTests(name, raw, temporary);
    for (const file of readdirSync(raw)) addProcess(readFileSync(join(raw, file), 'utf8'));
    return passed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runTests(name: string, raw: string, temporary: string): Promise<boolean> {
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest];
  const paths = [`packages/${name}/test/`, ...[SUITES[name] ?? []].flat()];
  // In one process, which ends by itself: a worker may be ended before Node has written what it ran.
  const args = [...paths, '--runInBand', '--selectProjects', 'unit', 'infrastructure'];
  const child = spawn(process.execPath, [...flags, ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      NODE_V8_COVERAGE: raw,
      HOLDFAST_REPORT: `reports/coverage/${name}`,
      TMPDIR: temporary,
    },
  });
  const [status] = await once(child, 'exit');
  return status === 0;
}

/** Adds what one process ran. A file that the process had no time to write to its end counts as nothing. */
function addProcess(text: string): void {
  for (const script of scriptsIn(text)) {
    // A worker that is started twice has a query in its address.
    const [url = ''] = script.url.split('?');
    const length = lengths.get(url);
    if (length === undefined) continue;
    const own = counts.get(url) ?? new Float64Array(length);
    counts.set(url, own);
    addCounts(own, script);
  }
}

function scriptsIn(text: string): ScriptCoverage[] {
  try {
    return JSON.parse(text).result;
  } catch {
    return [];
  }
}

/** The totals of the tests, as far as they could be run. */
function totalsOf(names: readonly string[]): { passed: number; failed: number; skipped: number } {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const name of names) {
    try {
      const { totals: own } = JSON.parse(readFileSync(join(reports, name, 'run.json'), 'utf8'));
      totals.passed += own.passed;
      totals.failed += own.failed;
      totals.skipped += own.skipped;
    } catch {
      totals.failed += 1;
    }
  }
  return totals;
}

function sourcesOf(name: string): { path: string; text: string }[] {
  const prefix = `packages/${name}/src/`;
  return repository.files.filter(({ path }) => path.startsWith(prefix) && path.endsWith('.ts'));
}

function urlOf(path: string): string {
  return pathToFileURL(join(root, path)).href;
}

const repository = readRepository(root);
const published = publishedPackagesIn(repository).map(({ name }) => name);
const asked = process.argv.slice(2).filter((argument) => argument !== '--');
const unknown = asked.find((name) => !published.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`'${unknown}' is not one of the packages: ${published.join(', ')}\n`);
  process.exit(2);
}
const names = asked.length === 0 ? published : asked;
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });
const sources = new Map(names.map((name) => [name, sourcesOf(name)]));
const lengths = new Map(
  [...sources.values()].flat().map(({ path, text }) => [urlOf(path), text.length]),
);
const passed = new Map<string, boolean>();
for (const name of names) {
  const ok = await measure(name);
  passed.set(name, ok);
  process.stderr.write(
    `${name}: ${ok ? 'measured' : `a test failed; see reports/coverage/${name}`}\n`,
  );
}
const files = new Map(
  [...sources].map(([name, own]) => [
    name,
    own.map(({ path, text }) => coverageOf(path, text, counts.get(urlOf(path)))),
  ]),
);
const measured = names.map((name) => ({
  name,
  passed: passed.get(name) === true,
  coverage: sumOf(files.get(name) ?? []),
}));
const table = renderTable(measured);
const coverage = Object.fromEntries(measured.map((one) => [one.name, one.coverage]));
const write = (name: string, text: string): void => writeFileSync(join(reports, name), `${text}\n`);
write('coverage.md', `# Coverage\n\n${table.join('\n')}`);
write('files.json', JSON.stringify([...files.values()].flat(), null, 2));
write('run.json', JSON.stringify({ version: 1, totals: totalsOf(names), coverage }, null, 2));
process.stdout.write(`${table.join('\n')}\n`);
process.exitCode = measured.some((one) => !one.passed || isBelow(one)) ? 1 : 0;
