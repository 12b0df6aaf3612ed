/**
 * Prepares a fresh clone: installs the dependencies in the lockfile if they are missing. Everything else
 * (including the workspace's own Node) comes from those. Runs before `npm start` and `npm test` on any
 * Node >= 20 and takes a few milliseconds when there is nothing to do.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PNPM = 'pnpm@12.21.0';
const NODE_FLOOR = [22, 22];

const root = dirname(fileURLToPath(import.meta.url));
const stamp = join(root, 'node_modules', '.holdfast-setup');

/** A digest of the inputs of the installation; a change makes the next run install again. */
function fingerprint() {
  const packages = readdirSync(join(root, 'packages')).map(
    (name) => `packages/${name}/package.json`,
  );
  const inputs = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...packages.toSorted()];
  const hash = createHash('sha256');
  for (const input of inputs) {
    const path = join(root, input);
    if (existsSync(path)) hash.update(input).update(readFileSync(path));
  }
  return hash.digest('hex');
}

function isInstalled(wanted) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
}

/** How many packages the lockfile names, for whoever waits for them. */
function countPackages() {
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8');
  return lockfile.match(/^ {4}resolution: /gm)?.length ?? 0;
}

function install() {
  const startedMs = performance.now();
  process.stderr.write(
    `holdfast: fetching ${PNPM}, which installs the ${countPackages()} packages of the lockfile, ` +
      'among them a Node and a Postgres (about a minute when none of them is cached)\n',
  );
  const args = ['--yes', PNPM, 'install', '--frozen-lockfile'];
  // A log gets lines, not a bar that is drawn again and again.
  if (!process.stderr.isTTY) args.push('--reporter=append-only');
  const { status, error, signal } = spawnSync('npx', args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (error) throw error;
  if (status !== 0) {
    process.stderr.write(
      `holdfast: 'npx ${PNPM} install --frozen-lockfile' ended with ${status ?? signal}; see above\n`,
    );
    process.exit(status ?? 1);
  }
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  process.stderr.write(`holdfast: installed in ${seconds} s\n`);
}

/** On Linux the workspace has its own Node; elsewhere the installed Node must be new enough. */
function checkNode() {
  if (existsSync(join(root, 'node_modules', '.bin', 'node'))) return;
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_FLOOR[0] || (major === NODE_FLOOR[0] && minor >= NODE_FLOOR[1])) return;
  process.stderr.write(
    `holdfast: the workspace has no Node for this platform; install Node >= ${NODE_FLOOR.join('.')} ` +
      `(this is ${process.versions.node})\n`,
  );
  process.exit(1);
}

const wanted = fingerprint();
if (!isInstalled(wanted)) {
  install();
  writeFileSync(stamp, wanted);
}
checkNode();
