/**
 * Runs the steps of the scripts in package.json, one after the other until one fails:
 *
 *   node run.mjs check | unit | infrastructure | published | test  [pattern …] [flags of Jest]
 *
 * Patterns select infrastructure suites (for `unit`: unit tests) by a part of the path:
 * a family such as `redis-failover`, or a file of it such as `redis-failover/keys`. SIGINT and SIGTERM are
 * forwarded, so that the report of the tests that had run is written. After each step its remaining processes are
 * ended and its temporary files are removed.
 */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { delimiter, dirname, join, sep } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const USAGE_STATUS = 2;
const STOP_TIMEOUT_MS = 20_000;
/** The watchdog of a stage ends its servers within this time after the runner has exited. */
const SERVERS_TIMEOUT_MS = 10_000;
const REMOVAL_TIMEOUT_MS = 10_000;
const POLL_MS = 50;
const SHELL_POLL_MS = 250;

/** The tests of the packed packages, which fetch what a stranger would install. */
const PUBLISHED = 'packages/suites/published/';

/** The tests that a pattern selects from: those of the suites, those of the packed packages, or all others. */
const kinds = {
  infrastructure: {
    project: ['infrastructure'],
    // Most tests wait more than they compute; those that measure time state `@alone`.
    flags: ['--maxWorkers', process.env['HOLDFAST_WORKERS'] ?? '2'],
    isOf: isOfSuites,
  },
  unit: {
    project: ['unit', 'tidy'],
    flags: ['--maxWorkers', '2'],
    isOf: (path) => !path.startsWith('packages/suites/'),
  },
  published: {
    project: ['published'],
    flags: ['--runInBand'],
    isOf: (path) => path.startsWith(PUBLISHED),
  },
};

function isOfSuites(path) {
  return path.startsWith('packages/suites/test/');
}

function testFiles({ isOf }) {
  const folders = readdirSync(join(root, 'packages')).map((name) => `packages/${name}/test/`);
  return [...folders, PUBLISHED].flatMap((folder) => {
    if (!existsSync(join(root, folder))) return [];
    return readdirSync(join(root, folder), { recursive: true })
      .map((path) => folder + path.split(sep).join('/'))
      .filter((path) => path.endsWith('.test.ts') && isOf(path));
  });
}

/** Arguments before the first flag are patterns; the rest goes to Jest. */
function parsePatterns(argv, kind) {
  const given = argv.filter((argument, at) => argument !== '--' || at > 0);
  const firstFlag = given.findIndex((argument) => argument.startsWith('-'));
  const patterns = firstFlag === -1 ? given : given.slice(0, firstFlag);
  const files = testFiles(kinds[kind]);
  for (const pattern of patterns) {
    if (!files.some((path) => matches(pattern, path))) rejectPattern(pattern, kind, files);
  }
  return { patterns, flags: firstFlag === -1 ? [] : given.slice(firstFlag) };
}

/** A file may be in a folder of its family: `redis-failover/keys` selects `redis-failover/jobs/keys`. */
function pathPattern(pattern) {
  return pattern.replaceAll('/', '/(?:.*/)?');
}

function matches(pattern, path) {
  try {
    return new RegExp(pathPattern(pattern), 'i').test(path);
  } catch {
    return false;
  }
}

function rejectPattern(pattern, kind, files) {
  const folders = files.map((path) =>
    kind === 'infrastructure' ? path.split('/')[3] : path.split('/')[1],
  );
  process.stderr.write(
    `holdfast: no ${kind} test matches '${pattern}'; nothing was run. ` +
      `A pattern is a part of a path, such as one of: ${[...new Set(folders)].toSorted((a, b) => a.localeCompare(b)).join(', ')}\n`,
  );
  process.exit(USAGE_STATUS);
}

/** @param report the folder of the report, relative to the root. */
function jest(kind, { patterns, flags }, report = `reports/${kind}`) {
  const { project, flags: own } = kinds[kind];
  return {
    title: kind === 'infrastructure' ? 'the suites on real servers' : `the tests: ${kind}`,
    command: process.execPath,
    args: [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
      ...patterns.map(pathPattern),
      '--selectProjects',
      ...project,
      ...own,
      '--cacheDirectory',
      join(tmpdir(), 'holdfast-jest'),
      ...flags,
    ],
    env: { HOLDFAST_REPORT: report, HOLDFAST_PROGRESS: kind === 'infrastructure' ? '1' : '0' },
  };
}

const step = (title, command, ...args) => ({ title, command, args, env: {} });
const tool = (name, ...args) =>
  step([name, ...args].join(' '), join(root, 'node_modules', '.bin', name), ...args);
const none = { patterns: [], flags: [] };
const check = (report) => [
  tool('oxlint'),
  tool('oxfmt', '--check'),
  tool('tsc', '--build'),
  jest('unit', none, report),
];
const total = () =>
  step(
    'the sum of both reports',
    process.execPath,
    'packages/report/src/bin/total-main.ts',
    'reports/unit/run.json',
    'reports/infrastructure/run.json',
  );

/** The folder of the report when only one kind of tests runs, instead of the default. */
const reportFolder = process.env['HOLDFAST_REPORT'] || undefined;
const plans = {
  check: () => check(reportFolder),
  unit: (argv) => [jest('unit', parsePatterns(argv, 'unit'), reportFolder)],
  infrastructure: (argv) => [
    jest('infrastructure', parsePatterns(argv, 'infrastructure'), reportFolder),
  ],
  published: (argv) => [jest('published', parsePatterns(argv, 'published'), reportFolder)],
  test(argv) {
    const chosen = parsePatterns(argv, 'infrastructure');
    return [...check(), jest('infrastructure', chosen), total()];
  },
};

let stopped;
let running;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(signal));

function stop(signal) {
  if (stopped !== undefined) return;
  stopped = signal;
  if (running === undefined) return;
  running.kill(signal);
  setTimeout(() => endGroup(running), STOP_TIMEOUT_MS).unref();
}

/**
 * npm passes a signal to the shell that it has started for a script, and that shell ends without passing it on. When it
 * is gone, nobody waits for this run any more.
 */
function watchShell() {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const shell = process.ppid;
  setInterval(() => {
    if (process.ppid !== shell) stop('SIGTERM');
  }, SHELL_POLL_MS).unref();
}

/** Ends the remaining processes in the group of a step. */
function endGroup({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Runs a step in a separate process group and temporary folder; resolves with its exit status. */
async function run({ command, args, env }) {
  const folder = mkdtempSync(join(tmpdir(), 'hf-'));
  // World-writable like the folder above it, because servers that run as other users write into it.
  chmodSync(folder, 0o1777);
  try {
    const child = spawn(command, args, {
      cwd: root,
      stdio: 'inherit',
      // A signal of the terminal reaches the step once, through this process only.
      detached: true,
      env: {
        ...process.env,
        // A test that starts `node` gets the Node that runs it.
        PATH: [
          dirname(process.execPath),
          join(root, 'node_modules', '.bin'),
          process.env['PATH'],
        ].join(delimiter),
        TMPDIR: folder,
        HOLDFAST_RUN_FOLDER: folder,
        ...env,
      },
    });
    running = child;
    const status = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
    });
    running = undefined;
    endGroup(child);
    return status;
  } finally {
    await removeFolder(folder);
  }
}

/** Waits for the folders of servers, which their watchdog removes, then removes the folder. */
async function removeFolder(folder) {
  const hasServers = () => readdirSync(folder).some((name) => name.startsWith('holdfast-stage-'));
  for (let leftMs = SERVERS_TIMEOUT_MS; leftMs > 0 && hasServers(); leftMs -= POLL_MS) {
    await pause(POLL_MS);
  }
  for (let leftMs = REMOVAL_TIMEOUT_MS; ; leftMs -= POLL_MS) {
    try {
      rmSync(folder, { recursive: true, force: true });
      return;
    } catch (error) {
      if (leftMs > 0) await pause(POLL_MS);
      else {
        process.stderr.write(`holdfast: ${folder} could not be removed: ${error.message}\n`);
        return;
      }
    }
  }
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const needed = engines.node.replace('>=', '').split('.').map(Number);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > needed[0] || (major === needed[0] && minor >= needed[1])) return;
  process.stderr.write(
    `holdfast: this is Node ${process.versions.node}, and Node ${engines.node} is needed; nothing was ` +
      `run. 'npm test' and 'npm start' install one on Linux\n`,
  );
  process.exit(1);
}

checkNode();
watchShell();
const [name, ...argv] = process.argv.slice(2);
if (name === undefined || !Object.hasOwn(plans, name)) {
  process.stderr.write(`usage: node run.mjs ${Object.keys(plans).join('|')} [pattern …]\n`);
  process.exit(USAGE_STATUS);
}
let status = 0;
const steps = plans[name](argv);
for (const [index, each] of steps.entries()) {
  const place = steps.length > 1 ? `${index + 1} of ${steps.length}: ` : '';
  process.stderr.write(`holdfast: ${place}${each.title}\n`);
  status = await run(each);
  if (status !== 0 || stopped !== undefined) break;
}
if (stopped !== undefined) process.exit(128 + constants.signals[stopped]);
process.exit(status);
