/* oxlint-disable jest/no-standalone-expect -- inZsh and inFish are test, or test.skip where there is no such shell */
import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { runCli } from './run-cli.ts';

const isInstalled = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

async function scriptFor(shell: string): Promise<string> {
  const { exitCode, stdout } = await runCli(['completions', shell]);
  expect(exitCode).toBe(0);
  return stdout;
}

const words = (line: string): string[] => line.trim().split(/\s+/).toSorted();

/** What each line may go on with. */
const rows: readonly [line: string, next: string][] = [
  ['holdfast st', 'stage'],
  ['holdfast stage ', '--help down status up'],
  ['holdfast stage up --stage ', 'compose docker local'],
  ['holdfast demo --stage d', 'docker'],
  ['holdfast stage up postg', 'postgres postgres-replica'],
  ['holdfast stage up redis --j', '--json'],
  ['holdfast completions ', '--help bash fish zsh'],
];

test.each(rows)('bash completes %j with %j', async (line, next) => {
  const typed = line.split(' ').map((word) => JSON.stringify(word));
  const set = `COMP_WORDS=(${typed.join(' ')}); COMP_CWORD=${typed.length - 1}; _holdfast`;
  const script = `${await scriptFor('bash')}\n${set}; echo "\${COMPREPLY[*]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(words(stdout)).toEqual(words(next));
});

const inZsh = isInstalled('zsh') ? test : test.skip; // Not on every machine.
inZsh.each(rows)('zsh offers for %j also %j', async (line, next) => {
  const typed = line.split(' ').map((word) => JSON.stringify(word));
  const stub = 'compdef() { : }; compadd() { shift; print -l -- "$@" }';
  const set = `words=(${typed.join(' ')}); CURRENT=${typed.length}; _holdfast`;
  const script = `${stub}\n${await scriptFor('zsh')}\n${set}`;
  const { stdout, stderr } = spawnSync('zsh', ['-fc', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  // Zsh itself leaves out what does not begin as the word does.
  expect(words(stdout)).toEqual(expect.arrayContaining(words(next)));
});

const inFish = isInstalled('fish') ? test : test.skip; // Not on every machine.
inFish.each(rows)('fish completes %j with %j', async (line, next) => {
  const script = `${await scriptFor('fish')}\ncomplete -C ${JSON.stringify(line)}`;
  const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', script], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  const offered = stdout.split('\n').map((each) => each.split('\t')[0] ?? '');
  // Fish offers options once a dash is typed.
  expect(words(offered.join(' '))).toEqual(
    words(next).filter((word) => word !== '--help' || line.endsWith('-')),
  );
});

test('every command and every option of the tree is in each script', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const script = await scriptFor(shell);
    for (const word of ['demo', 'stage', 'completions', 'up', 'down', 'status']) {
      expect(script).toContain(word);
    }
    for (const option of ['seed', 'duration', 'directory', 'json', 'version']) {
      expect(script).toContain(option);
    }
  }
});

test('a shell that is not known is answered by those that are', async () => {
  const { exitCode, stderr } = await runCli(['completions', 'tcsh']);
  expect(exitCode).toBe(2);
  expect(stderr.replaceAll(/\s+/g, ' ')).toContain('bash, zsh, fish');
});
