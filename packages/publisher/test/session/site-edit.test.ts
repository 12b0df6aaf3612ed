import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { applyEdit, editRequest, parseEdit } from '../../src/session/site-edit.ts';
import { directoryOf, temporary } from '../temporary.ts';

const edit = (files: unknown, stopReason = 'end_turn'): ReturnType<typeof parseEdit> =>
  parseEdit({ text: `Here: ${JSON.stringify({ summary: 'a\nb', files })}`, stopReason });

test.each([
  '../outside.txt',
  '/etc/passwd',
  'a/../../b',
  '.git/config',
  'x/.GIT/hooks/post-commit',
  'node_modules/a.js',
  'a\\b',
  'a//b',
  'dir/',
  '',
])('an edit of %j is refused', (path) => {
  expect(() => edit([{ path, content: '' }])).toThrow(/refused/);
});

test('an answer that was cut by its length, or is no edit, is refused', () => {
  expect(() => edit([{ path: 'a', content: '' }], 'max_tokens')).toThrow(/max_tokens/);
  expect(() => edit([])).toThrow(/no file/);
  expect(() => edit([{ path: 'a', content: 7 }])).toThrow(/no content/);
  expect(() => parseEdit({ text: 'no', stopReason: 'end_turn' })).toThrow(/no JSON/);
});

test('an edit writes and removes files, and never through a link', async () => {
  const directory = await directoryOf({ 'a.txt': 'a', 'b/c.txt': 'c' });
  await applyEdit(
    edit([
      { path: 'a.txt', content: null },
      { path: 'd/e.txt', content: 'e' },
    ]),
    directory,
  );
  expect(await readFile(join(directory, 'd/e.txt'), 'utf8')).toBe('e');
  await expect(readFile(join(directory, 'a.txt'))).rejects.toThrow('ENOENT');
  await symlink(await temporary(), join(directory, 'out'));
  await expect(applyEdit(edit([{ path: 'out/x', content: '' }]), directory)).rejects.toThrow(
    /link/,
  );
});

test('the question has the sources, and nothing of git or of modules', async () => {
  const directory = await directoryOf({
    'a.txt': 'hello',
    '.git/config': 'secret',
    'node_modules/x/i.js': 'module',
  });
  const { prompt } = await editRequest('Change it', directory);
  expect(prompt).toContain('Change it');
  expect(prompt).toContain('--- a.txt\nhello');
  expect(prompt).not.toMatch(/secret|module/);
});
