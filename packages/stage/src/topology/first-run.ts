/**
 * How long `openStage()` may take with its default timeouts, in milliseconds: to fetch a server, create its
 * initial data, start it and form its topology. For the hook of a test runner, whose own default is 5 to 10
 * seconds: `beforeAll(open, STAGE_OPEN_TIMEOUT_MS)`.
 */
export const STAGE_OPEN_TIMEOUT_MS = 300_000;

const SECOND_MS = 1_000;
let isAnnounced = false;

/**
 * Warns, once in a process, that a server is fetched or prepared: the hook that waits for it may be ended by the
 * test runner, whose error says nothing of the reason.
 * @param work such as `fetching Redis`.
 */
export function announceFirstRun(work: string, fetchTimeoutMs: number): void {
  if (isAnnounced) return;
  isAnnounced = true;
  process.emitWarning(
    `openStage is ${work}, as on the first run on a machine, for up to ${fetchTimeoutMs / SECOND_MS} s ` +
      `(fetchTimeoutMs). A test runner that ends the hook or test earlier needs a longer timeout: ` +
      `beforeAll(open, STAGE_OPEN_TIMEOUT_MS) or --testTimeout in Jest, hookTimeout in Vitest, ` +
      `before(open, { timeout }) in node:test`,
    { type: 'HoldfastStageWarning', code: 'STAGE_FIRST_RUN' },
  );
}
