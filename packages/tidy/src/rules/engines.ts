import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Violation, type Repository, type RepositoryFile, objectIn } from '../repository.ts';

/** The oldest Node that `engines` allows, where the lockfile has it for this machine. */
export const oldestNode: string | undefined = [
  join(
    import.meta.dirname,
    '../../node_modules',
    `oldest-node-${process.platform}-${process.arch}`,
    'bin/node',
  ),
].find((path) => existsSync(path));

/** Reads paths as JSON, and prints the version of Node and the files that it does not parse. */
const PARSER = `
import { spawnSync } from 'node:child_process';
import { stripTypeScriptTypes } from 'node:module';
import { readFileSync } from 'node:fs';
import { SourceTextModule } from 'node:vm';
const failures = [];
// Node reports the line of a module's syntax error only when the error ends the process.
const told = (input) =>
  spawnSync(process.execPath, ['--check', '--input-type=module', '-'], { input, encoding: 'utf8' }).stderr;
for (const { path, text } of JSON.parse(readFileSync(0, 'utf8'))) {
  let code;
  try {
    code = path.endsWith('ts') ? stripTypeScriptTypes(text) : text;
    new SourceTextModule(code);
  } catch (error) {
    const [, line = 1] = (code === undefined ? error.stack : told(code)).match(/:([0-9]+)$/m) ?? [];
    failures.push({ path, line: Number(line), message: error.message });
  }
}
process.stdout.write(JSON.stringify({ version: process.versions.node, failures }));
`;

const FLAGS = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  '--input-type=module',
  '--eval',
  PARSER,
];
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Every source, test and script parses on the oldest Node, or without it on the Node that runs this. */
export function everyFileParses(repository: Repository): Violation[] {
  const files = repository.files.filter(
    // NestJS has decorators, and is compiled before it is run.
    ({ path }) => /\.(?:[mc]?ts|mjs)$/.test(path) && !path.startsWith('examples/nestjs/'),
  );
  if (files.length === 0) return [];
  const { version, failures } = parseAll(oldestNode ?? process.execPath, files);
  const found = failures.map(({ path, line, message }) => ({
    path,
    line,
    message: `does not parse on Node ${version}: ${message}`,
  }));
  if (oldestNode === undefined || !isNewer(version, floorOf(repository))) return found;
  const message = `the oldest Node in the lockfile is ${version}, newer than engines allow`;
  return [...found, { path: 'packages/tidy/package.json', line: 1, message }];
}

function parseAll(
  node: string,
  files: readonly RepositoryFile[],
): { version: string; failures: Violation[] } {
  const input = JSON.stringify(files.map(({ path, text }) => ({ path, text })));
  const { stdout, stderr, error } = spawnSync(node, FLAGS, {
    input,
    encoding: 'utf8',
    maxBuffer: MAX_ANSWER_BYTES,
  });
  if (error !== undefined) throw error;
  if (stdout === '') throw new Error(`${node} parsed nothing: ${stderr}`);
  return JSON.parse(stdout);
}

/** The version after `>=` in the root's engines; undefined where there is no root. */
function floorOf(repository: Repository): string | undefined {
  const root = objectIn(JSON.parse(repository.find('package.json')?.text ?? '{}'));
  return /^>=([\d.]+)$/.exec(String(objectIn(root['engines'])['node']))?.[1];
}

function isNewer(version: string, floor: string | undefined): boolean {
  if (floor === undefined) return false;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [floorMajor = 0, floorMinor = 0] = floor.split('.').map(Number);
  return major > floorMajor || (major === floorMajor && minor > floorMinor);
}
