import { afterAll, beforeEach, jest } from '@jest/globals';

/** The failure that a caller must see, whatever a callback does. */
export const real: Error = Object.assign(new Error('the real failure'), { code: 'ECONNREFUSED' });

export const failing = async (): Promise<never> => {
  throw real;
};

export const quick = { maxAttempts: 2, initialDelayMs: 0, maxDelayMs: 0 };

/** Records the warnings of each test of the file, instead of printing them. */
export function watchWarnings(): jest.SpiedFunction<typeof process.emitWarning> {
  const warn = jest.spyOn(process, 'emitWarning');
  beforeEach(() => {
    warn.mockReset();
    warn.mockImplementation(() => undefined);
  });
  afterAll(() => {
    warn.mockRestore();
  });
  return warn;
}

/** Resolves when what was ready to run has run. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
