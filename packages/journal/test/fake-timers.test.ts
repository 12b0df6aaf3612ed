import { afterEach, expect, jest, test } from '@jest/globals';
import { createMemoryJournal, openJournal } from '../src/index.ts';
import { freshDirectory } from './directory.ts';

afterEach(() => {
  jest.useRealTimers();
});

const payload = new TextEncoder().encode('kept');

test('a journal on disk accepts while a test fakes every timer, and afterwards', async () => {
  const journal = await openJournal({ directory: await freshDirectory() });
  jest.useFakeTimers();
  expect(await journal.append(payload)).toBe(1);
  jest.useRealTimers();
  expect(await journal.append(payload)).toBe(2);
  await journal.close();
});

test('a journal in memory accepts while a test fakes every timer, and afterwards', async () => {
  const journal = createMemoryJournal();
  jest.useFakeTimers();
  expect(await journal.append(payload)).toBe(1);
  jest.useRealTimers();
  expect(await journal.append(payload)).toBe(2);
  await journal.close();
});
