import { describe, expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createProgressDisplay, progressLine } from '../../src/command/progress.ts';
import {
  columnsOf,
  cut,
  formatDuration,
  printable,
  table,
  widthOf,
} from '../../src/command/terminal.ts';
import type { SyncProgress } from '../../src/sync/catalog-sync.ts';
import { HOSTILE } from '../search/bundles.ts';
import { Screen } from './fake-tiers.ts';

const PROGRESS: SyncProgress = {
  phase: 'fetching',
  pages: 120,
  reusedPages: 80,
  rows: 23_400,
  expectedRows: 52_000,
};

describe('the line of progress', () => {
  test('has a bar as wide as there is room', () => {
    expect(progressLine(PROGRESS, 12_400, 120)).toBe(
      `[${'#'.repeat(16)}${'-'.repeat(21)}]  45 % fetching 23,400 of about 52,000 bundles, 120 pages, 80 of them known, 12 s`,
    );
  });

  test('keeps its bar before all but the count', () => {
    expect(progressLine({ ...PROGRESS, expectedRows: 52_000 }, 12_400, 60)).toBe(
      '[#####-------]  45 % fetching 23,400 of about 52,000 bundles',
    );
  });

  test('has no bar while nobody knows how much there is', () => {
    expect(progressLine({ ...PROGRESS, expectedRows: undefined }, 1_000, 120)).toBe(
      'fetching 23,400 bundles, 120 pages, 80 of them known, 1.0 s',
    );
  });

  test('is never wider than the terminal, and never over 100 %', () => {
    for (let width = 0; width < 200; width += 1) {
      for (const rows of [0, 1, 52_000, 99_999_999]) {
        for (const expectedRows of [undefined, 0, 1, 52_000]) {
          const line = progressLine({ ...PROGRESS, rows, expectedRows }, 99_999_999, width);
          expect(columnsOf(line)).toBeLessThanOrEqual(width);
          expect(Number(/(\d+) %/.exec(line)?.[1] ?? 0)).toBeLessThanOrEqual(100);
        }
      }
    }
  });
});

describe('the display', () => {
  test('draws over its own line ten times a second, and leaves an empty one', async () => {
    const clock = createFakeClock();
    const screen = new Screen(60);
    const display = createProgressDisplay(screen, clock);
    for (let rows = 0; rows < 100; rows += 1) {
      display.show({ ...PROGRESS, rows });
      await clock.advance(20);
    }
    display.end();
    const drawn = screen.text.split('\r').slice(1);
    expect(drawn.length).toBe(21);
    expect(drawn.at(-1)).toBe('\u001b[K');
    expect(screen.text).not.toContain('\n');
  });

  test('follows a terminal that gets narrower', () => {
    const screen = new Screen(100);
    const display = createProgressDisplay(screen, createFakeClock());
    display.show(PROGRESS);
    screen.columns = 20;
    screen.text = '';
    display.show({ ...PROGRESS, phase: 'staging' });
    expect(screen.text.replace('\u001b[K', '').replace('\r', '').length).toBeLessThan(20);
  });

  test('writes a line a phase, and one every ten seconds, where there is no terminal', async () => {
    const clock = createFakeClock();
    const screen = new Screen();
    const display = createProgressDisplay(screen, clock);
    for (const phase of ['locking', 'fetching', 'publishing'] as const) {
      for (let seconds = 0; seconds < 25; seconds += 1) {
        display.show({ ...PROGRESS, phase });
        await clock.advance(1_000);
      }
    }
    display.end();
    const lines = screen.text.split('\n');
    expect(lines.filter((line) => line.startsWith('fetching'))).toHaveLength(3);
    expect(lines).toHaveLength(10);
    expect(screen.text).not.toContain('\r');
    expect(screen.text).not.toContain('\u001b');
  });
});

describe('a table', () => {
  test('is never wider than the terminal, whatever is in it', () => {
    const random = seededRandom(3);
    const cell = (): string => {
      const text = HOSTILE[Math.floor(random() * HOSTILE.length)] ?? '';
      return random() < 0.5 ? text : text.repeat(3);
    };
    for (let width = 1; width < 120; width += 7) {
      const rows = Array.from({ length: 8 }, () => [cell(), cell(), cell(), cell()]);
      const lines = table(rows, width, [1]).split('\n');
      expect(lines).toHaveLength(9);
      for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(width);
    }
  });

  test('is as wide as its content where lines go to a file', () => {
    const name = 'x'.repeat(300);
    const width = widthOf(new Screen());
    expect(
      table(
        [
          ['a', '1'],
          [name, '22'],
        ],
        width,
        [1],
      ).split('\n')[1],
    ).toBe(`${name}  22`);
  });
});

test('what comes from elsewhere cannot move the cursor, nor pose as more lines', () => {
  const hostile = 'a\u001b[2J\u001b]0;title\u0007b\r\nc\u202ed\u2028e';
  expect(printable(hostile)).toBe('a [2J ]0;title b c d e');
});

test('a text is cut at whole characters, and wide ones count twice', () => {
  expect(cut('日本語', 6)).toBe('日本語');
  expect(cut('日本語', 5)).toBe('日本…');
  expect(cut('👍👍', 3)).toBe('👍…');
  expect(cut('abc', 0)).toBe('');
  expect(columnsOf('e\u0301')).toBe(1);
});

test('a duration is in the unit that says most', () => {
  const printed = [0, 9_940, 12_300, 119_000, 600_000, 7_200_000, 40 * 86_400_000];
  expect(printed.map(formatDuration)).toEqual([
    '0.0 s',
    '9.9 s',
    '12 s',
    '119 s',
    '10 min',
    '2 h',
    '40 d',
  ]);
});

test('a terminal that does not tell its width is taken for one of 80 columns', () => {
  const screen = new Screen(80);
  screen.columns = 0;
  expect(widthOf(screen)).toBe(79);
});
