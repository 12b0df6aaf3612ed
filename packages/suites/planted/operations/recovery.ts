import type { PlantedBug } from '../planted-bug.ts';

const UNIT = 'packages/operations/test';
const SUITE = 'packages/suites/test/operations';

/** Of durable runs, backups and the disaster plan. */
export const operationsRecoveryBugs: readonly PlantedBug[] = [
  {
    name: 'a run that was taken over still stores what the old execution does',
    file: 'packages/operations/src/durable/memory/run-store.ts',
    sound: 'return run.fence === fence && run.outcome === undefined ? run : undefined;',
    broken: 'return run.outcome === undefined && fence > 0n ? run : undefined;',
    tests: { path: `${UNIT}/durable/memory-runner`, name: 'lost its lease stores nothing' },
  },
  {
    name: 'a run without progress keeps its lease',
    file: 'packages/operations/src/durable/memory/run-store.ts',
    sound:
      'if (Math.max(run.progressAtMs, run.waitsUntilMs) + progressTimeoutMs <= nowMs) return false;',
    broken: 'if (progressTimeoutMs <= 0) return false;',
    tests: { path: `${UNIT}/durable/memory-runner`, name: 'makes no progress' },
  },
  {
    name: 'a takeover has the fence of the execution before it',
    file: 'packages/operations/src/durable/dbos/run-leases.ts',
    sound: 'set holder = $2, fence = fence + 1, step = null,',
    broken: 'set holder = $2, fence = 1, step = null,',
    tests: { path: `${SUITE}/durable-contract`, name: 'makes no progress' },
  },
  {
    name: 'the last chunk of a file is not marked',
    file: 'packages/operations/src/backup/age.ts',
    sound: 'this.#bytes[LAST] = isLast ? 1 : 0;',
    broken: 'this.#bytes[LAST] = isLast ? 0 : 0;',
    tests: { path: `${UNIT}/backup/age`, name: 'the library decrypts' },
  },
  {
    name: 'a piece is taken without its digest',
    file: 'packages/operations/src/backup/verify-backup.ts',
    sound: 'if (bytes !== undefined && digest === piece.sha256) return bytes;',
    broken: "if (bytes !== undefined && digest !== '') return bytes;",
    tests: { path: `${SUITE}/backup.test`, name: 'a place that fails' },
  },
  {
    name: 'the rows of a restore are not compared',
    file: 'packages/operations/src/backup/postgres/dump.ts',
    sound: 'if (differing.length > 0) throw new BackupProofError(differing);',
    broken: 'if (differing.length < 0) throw new BackupProofError(differing);',
    tests: { path: `${SUITE}/backup.test`, name: 'one changed digit' },
  },
  {
    name: 'a failed promotion leaves the old site fenced',
    file: 'packages/operations/src/continuity/disaster-plan.ts',
    sound: "await act(context, 'unfence', resolved.unfence, settings);",
    broken: '',
    tests: { path: `${UNIT}/continuity`, name: 'up to the promotion' },
  },
  {
    name: 'the newest set is pruned, too',
    file: 'packages/operations/src/backup/retention.ts',
    sound: 'new Set(newestFirst.slice(0, last));',
    broken: 'new Set(newestFirst.slice(1, last));',
    tests: { path: `${UNIT}/backup/retention`, name: 'the newest set is kept' },
  },
];
