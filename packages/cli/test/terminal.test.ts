import { expect, test } from '@jest/globals';
import { Narrator } from '../src/terminal/narrator.ts';
import { wrap } from '../src/terminal/wrap.ts';

const TEXT = 'killed 3, frozen 3, filled 3: lost 0 of what was accepted, doubled 0';

test.each([16, 24, 40, 79])('no line is wider than %s columns, and no word is lost', (width) => {
  const lines = wrap(`  ${TEXT}`, width, '    ');
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
  expect(lines.join(' ').split(/\s+/).join(' ').trim()).toBe(TEXT);
});

test('a word that is longer than a line goes on in the next one', () => {
  expect(wrap('see aaaaaaaaaaaa', 8, '  ')).toEqual(['see', '  aaaaaa', '  aaaaaa']);
  expect(wrap('aaaa', 1, '  ')).toEqual(['a', 'a', 'a', 'a']);
});

test('a text that fits keeps its spaces', () => {
  expect(wrap('jobs        651', 79)).toEqual(['jobs        651']);
});

test.each<[string, boolean, Record<string, string>, boolean]>([
  ['a terminal', true, {}, true],
  ['a terminal with NO_COLOR', true, { NO_COLOR: '1' }, false],
  ['a terminal with an empty NO_COLOR', true, { NO_COLOR: '' }, true],
  ['a terminal without colors', true, { TERM: 'dumb' }, false],
  ['a file', false, {}, false],
])('%s has colors: %#', (_, isTTY, variables, isColored) => {
  let text = '';
  const stdout = { isTTY, columns: 30, write: (written: string) => (text += written) };
  new Narrator({ stdout, variables }).say('redis killed, and it is up again', 'bad');
  expect(text.includes('\u001B[31m')).toBe(isColored);
  // eslint-disable-next-line no-control-regex
  for (const line of text.replaceAll(/\u001B\[\d+m/g, '').split('\n')) {
    expect(line.length).toBeLessThan(30);
  }
});
