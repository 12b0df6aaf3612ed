import { afterEach } from '@jest/globals';

const opened: AsyncDisposable[] = [];

/** Closes a resource when the test has ended; the one that was opened last is closed first. */
export function closeAfterTest<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

/** One that cannot be closed keeps none of the others open. */
async function closeOpened(): Promise<void> {
  const last = opened.pop();
  if (last === undefined) return;
  try {
    await last[Symbol.asyncDispose]();
  } finally {
    await closeOpened();
  }
}

afterEach(closeOpened);
