import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { EXIT } from '../src/index.ts';
import { runCli } from './run-cli.ts';

const commands = ['demo', 'stage', 'stage up', 'stage down', 'stage status', 'completions'];

test.each(['', ...commands])(
  "'%s --help' fits 80 columns and names every exit code",
  async (path) => {
    const args = path.split(' ').filter((word) => word !== '');
    const { exitCode, stdout, stderr } = await runCli([...args, '--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain(`Usage: ${['holdfast', ...args].join(' ')}`);
    for (const code of [...Object.values(EXIT), '130, 143']) {
      expect(stdout).toContain(`\n  ${code}  `);
    }
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect((await runCli(['help', ...args])).stdout.length).toBeGreaterThan(0);
  },
);

test('the README documents every exit code', () => {
  const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
  for (const code of [...Object.values(EXIT), '130, 143']) {
    expect(readme).toMatch(new RegExp(`^\\| ${code} +\\|`, 'm'));
  }
});

test('--version is that of the package', async () => {
  const manifest = readFileSync(join(import.meta.dirname, '../package.json'), 'utf8');
  const { exitCode, stdout } = await runCli(['--version']);
  expect({ exitCode, stdout }).toEqual({
    exitCode: 0,
    stdout: `${JSON.parse(manifest).version}\n`,
  });
});

test.each<[string[], string, string]>([
  [['dmeo'], 'Did you mean demo?', 'holdfast --help'],
  [['stage', 'pu'], 'Did you mean up?', 'holdfast stage --help'],
  [['stage', 'status', '--jsno'], 'Did you mean --json?', 'holdfast stage status --help'],
  [['demo', '--sede', '1'], 'Did you mean --seed?', 'holdfast demo --help'],
  [['demo', '--seed', '1.5'], 'It is a whole number from 0 to', 'holdfast demo --help'],
  [['demo', '--duration', '0'], 'It is a whole number from 1 to', 'holdfast demo --help'],
  [['demo', '--seed'], 'argument missing', 'holdfast demo --help'],
  [['demo', 'now'], 'too many arguments', 'holdfast demo --help'],
  [['demo', '--stage', 'vagrant'], 'local, docker', 'holdfast demo --help'],
  [['stage', 'up', 'mysql'], 'redis, redis-sentinel', 'holdfast stage up --help'],
  [['stage', 'up', 'redis', 'redis-cluster'], 'exclude each other', 'Leave one out'],
  [['completions'], "missing required argument 'shell'", 'holdfast completions --help'],
])('%j starts nothing, ends with 2, and names the way out', async (args, said, remedy) => {
  const { exitCode, stdout, stderr } = await runCli(args);
  expect({ exitCode, stdout }).toEqual({ exitCode: EXIT.usage, stdout: '' });
  const text = stderr.replaceAll(/\s+/g, ' ');
  expect(text).toContain(said);
  expect(text).toContain(remedy);
  for (const line of stderr.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('without a word it prints what there is, and ends with 2', async () => {
  const { exitCode, stderr } = await runCli([]);
  expect(exitCode).toBe(EXIT.usage);
  expect(stderr).toContain('Usage: holdfast');
});
