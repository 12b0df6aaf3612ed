import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { seededRandom, systemClock } from '@holdfast/foundation';
import { pushBranch } from '../../src/git/push-branch.ts';
import type { PushOutcome, PushProgress } from '../../src/git/push-outcome.ts';
import { type LocalWorkspace, bareRemote, plainGit, pushDirectly, workspaceOf } from './remote.ts';

interface Edited {
  readonly workspace: LocalWorkspace;
  readonly base: string;
  readonly commit: string;
}

async function edited(url: string, path: string, content: string, key: string): Promise<Edited> {
  const workspace = await workspaceOf(url);
  const base = await workspace.fetch('main');
  await workspace.checkout(base);
  await writeFile(join(workspace.directory, path), content);
  const spec = { message: `edit ${path}`, editKey: key, dateMs: 1_700_000_000_000 };
  return { workspace, base, commit: await workspace.commitAll(spec) };
}

async function push(
  { workspace, base, commit }: Edited,
  key: string,
  progress: PushProgress[] = [],
): Promise<PushOutcome> {
  const spec = { branch: 'main', commit, base, editKey: key, sideBranch: `conflict/${key}` };
  return pushBranch(workspace, spec, {
    clock: systemClock,
    random: seededRandom(1),
    maxAttempts: 5,
    onProgress: (step) => progress.push(step),
  });
}

const filesOf = (url: string, branch: string): Promise<string> =>
  plainGit(url, 'ls-tree', '--name-only', branch);

test('a commit goes on top of what others pushed meanwhile, and both are on the branch', async () => {
  const url = await bareRemote({ 'a.txt': 'one\n' });
  const edit = await edited(url, 'b.txt', 'mine\n', 's.1');
  await pushDirectly(url, 'main', { 'c.txt': 'theirs\n' });
  const progress: PushProgress[] = [];
  const outcome = await push(edit, 's.1', progress);
  expect(outcome).toMatchObject({ kind: 'pushed', rebased: true, wasThere: false });
  expect(progress.map(({ kind }) => kind)).toEqual(['pulling', 'rebasing']);
  expect(await filesOf(url, 'main')).toBe('a.txt\nb.txt\nc.txt');
});

test('a commit that arrived although its response did not is recognised by the refs', async () => {
  const url = await bareRemote({ 'a.txt': 'one\n' });
  const edit = await edited(url, 'b.txt', 'mine\n', 's.1');
  await edit.workspace.send(edit.commit, 'main');
  expect(await push(edit, 's.1')).toMatchObject({ kind: 'pushed', wasThere: true, rebased: false });
  await pushDirectly(url, 'main', { 'c.txt': 'theirs\n' });
  expect(await push(edit, 's.1')).toMatchObject({ kind: 'pushed' });
  expect(await plainGit(url, 'rev-list', '--count', 'main')).toBe('3');
});

test('an edit that another worker rebased and pushed is not pushed a second time', async () => {
  const url = await bareRemote({ 'a.txt': 'one\n' });
  const first = await edited(url, 'b.txt', 'mine\n', 's.1');
  const second = await edited(url, 'b.txt', 'mine\n', 's.1');
  expect(second.commit).toBe(first.commit);
  await pushDirectly(url, 'main', { 'c.txt': 'theirs\n' });
  const pushed = await push(first, 's.1');
  expect(await push(second, 's.1')).toEqual({ ...pushed, wasThere: true });
  expect(await plainGit(url, 'rev-list', '--count', 'main')).toBe('3');
});

test('the key of an edit is no part of another key', async () => {
  const url = await bareRemote({ 'a.txt': 'one\n' });
  const edit = await edited(url, 'c.txt', 'mine\n', 's.1');
  const other = await edited(url, 'b.txt', 'theirs\n', 's.12');
  await push(other, 's.12');
  expect(await push(edit, 's.1')).toMatchObject({ kind: 'pushed', wasThere: false });
  expect(await filesOf(url, 'main')).toBe('a.txt\nb.txt\nc.txt');
});

test('a conflict goes to a side branch, with the files that both changed, and main stays', async () => {
  const url = await bareRemote({ 'a.txt': 'one\n' });
  const edit = await edited(url, 'a.txt', 'mine\n', 's.1');
  await pushDirectly(url, 'main', { 'a.txt': 'theirs\n' });
  expect(await push(edit, 's.1')).toMatchObject({
    kind: 'conflict',
    sideBranch: 'conflict/s.1',
    report: { kind: 'same-lines', paths: ['a.txt'] },
  });
  expect(await plainGit(url, 'show', 'main:a.txt')).toBe('theirs');
  expect(await plainGit(url, 'show', 'conflict/s.1:a.txt')).toBe('mine');
});

test('an edit of a branch that was rewritten is set aside, and brings nothing back', async () => {
  const url = await bareRemote({ 'a.txt': 'one\n' });
  await pushDirectly(url, 'main', { 'secret.txt': 'removed later\n' });
  const edit = await edited(url, 'b.txt', 'mine\n', 's.1');
  await plainGit(url, 'update-ref', 'refs/heads/main', 'main~1');
  await pushDirectly(url, 'main', { 'c.txt': 'after\n' });
  expect(await push(edit, 's.1')).toMatchObject({
    kind: 'conflict',
    report: { kind: 'rewritten' },
  });
  expect(await filesOf(url, 'main')).toBe('a.txt\nc.txt');
});

test('a lock that a dead process left is removed, and one of a living process is not', async () => {
  const url = await bareRemote({ 'a.txt': 'one\n' });
  const workspace = await workspaceOf(url);
  const folder = join(workspace.directory, '.git');
  await writeFile(join(folder, 'index.lock'), '');
  await writeFile(join(folder, 'holdfast-owner'), String(process.ppid));
  expect(await workspace.open()).toEqual([]);
  const NO_PROCESS = 2 ** 22 + 1;
  await writeFile(join(folder, 'holdfast-owner'), String(NO_PROCESS));
  expect(await workspace.open()).toEqual([join(folder, 'index.lock')]);
});
