import type { PlantedBug } from './planted-bug.ts';

const SIZES = 'packages/journal/test/record-sizes';

export const journalBugs: readonly PlantedBug[] = [
  {
    name: 'recovery ends with its first window',
    file: 'packages/journal/src/segments/scan.ts',
    sound: 'if (bytes <= this.#window.length) continue;',
    broken: '',
    tests: { path: SIZES, name: 'many windows' },
  },
  {
    name: 'a record larger than the window counts as damaged',
    file: 'packages/journal/src/segments/record-reader.ts',
    sound: 'if (bytes > cursor.window.length) await fillWindow(cursor, bytes);',
    broken: '',
    tests: { path: SIZES, name: 'larger than the window' },
  },
  {
    name: 'a large record behind a damaged one is lost with it',
    file: 'packages/journal/src/segments/scan.ts',
    sound: ': await isIntactOnDisk(this.#file, offset, bytes, salt);',
    broken: ': false;',
    tests: { path: SIZES, name: 'the record before a large one' },
  },
  {
    name: 'a torn batch counts as a loss of acknowledged records',
    file: 'packages/journal/src/segments/scan.ts',
    sound: 'this.#lastBatchStart > gap.firstSequence',
    broken: 'this.#lastBatchStart >= gap.firstSequence',
    tests: { path: 'packages/journal/test/corruption', name: 'torn' },
  },
  {
    name: 'an append waits for a disk that hangs for as long as it does',
    file: 'packages/journal/src/commit/group-commit.ts',
    sound: 'if (progressMs <= sinceMs) this.#giveUp(units);',
    broken: 'if (progressMs <= sinceMs) timer = start(ioTimeoutMs);',
    tests: { path: 'packages/journal/test/ground/hanging-disk', name: 'appends reject within' },
  },
  {
    name: 'each opening that is tried again leaves one more call to a disk that hangs',
    file: 'packages/journal/src/files/bounded-files.ts',
    sound: 'if (this.#running < maxConcurrent) return start();',
    broken: 'return start();',
    tests: { path: 'packages/journal/test/ground/hanging-disk', name: 'with one call that hangs' },
  },
  {
    name: 'records are acknowledged into a directory that is gone',
    file: 'packages/journal/src/disk-journal.ts',
    sound: 'if (await this.#ownership.isInPlace(this.#log.activePath)) return;',
    broken: 'return;',
    tests: { path: 'packages/journal/test/ground/lost-directory', name: 'while it is open' },
  },
  {
    name: 'a successor waits as long as it states itself, not as the owner does',
    file: 'packages/journal/src/ownership/claim.ts',
    sound: 'const staleMs = record?.staleMs ?? Math.max(ownerStaleMs, FORMER_STALE_MS);',
    broken: 'const staleMs = ownerStaleMs;',
    tests: { path: 'packages/journal/test/ground/wall-clock', name: 'as the owner has stated' },
  },
  {
    name: 'segments are deleted up to a release mark that is not durable',
    file: 'packages/journal/src/disk-journal.ts',
    sound: 'await this.#log.purge(released);',
    broken: 'await this.#log.purge(this.#log.first - 1);',
    tests: { path: 'packages/journal/test/checkpoint', name: 'is being written' },
  },
  {
    name: 'with durability os a full segment is not synced',
    file: 'packages/journal/src/segments/segment-log.ts',
    sound: 'if (!this.#deps.syncsBatches) await full.sync();',
    broken: '',
    tests: { path: 'packages/journal/test/crash', name: 'durability os' },
  },
  {
    name: 'the release mark of records that the loss of power took stays',
    file: 'packages/journal/src/recovery.ts',
    sound: 'released: Math.min(this.#released, this.#next - 1),',
    broken: 'released: this.#released,',
    tests: { path: 'packages/journal/test/checkpoint', name: 'after a loss of power' },
  },
  {
    name: 'the heartbeat of a remote owner is judged by this machine’s clock',
    file: 'packages/journal/src/ownership/claim.ts',
    sound: 'staleMs - (claim?.modifiedMs ?? 0);',
    broken: 'staleMs - this.#options.clock.epochMs();',
    tests: { path: 'packages/journal/test/ownership', name: 'ms apart' },
  },
  {
    name: 'a suspension of the process is taken for a disk that hangs',
    file: 'packages/journal/src/files/awake-clock.ts',
    sound: 'const partMs = Math.ceil(delayMs / PARTS);',
    broken: 'const partMs = delayMs;',
    tests: { path: 'packages/journal/test/ground/suspended', name: 'for a suspension' },
  },
  {
    name: 'an owner that may be silent for longer than an opening watches is never replaced',
    file: 'packages/journal/src/ownership/watched-owners.ts',
    sound: 'if (isSame && known.modifiedMs === modifiedMs) return known;',
    broken: '',
    tests: {
      path: 'packages/journal/test/ground/claims-of-silent-owners',
      name: 'is watched on by the next one',
    },
  },
];
