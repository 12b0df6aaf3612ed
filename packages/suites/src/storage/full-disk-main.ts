/**
 * Servers, and a storage whose journal is on a small disk, in a process inside a sandbox:
 * `node full-disk-main.ts <directory on that disk>`.
 */
import type { LedgerResult } from '../ledger.ts';
import { openStorageFixture } from './storage-fixture.ts';
import { ObjectLedger, compareBackends } from './object-ledger.ts';

/** The result of the run. */
export interface FullDiskReport {
  readonly verdict: LedgerResult;
  /** The distinct error codes of rejected writes. */
  readonly refusals: readonly string[];
  readonly refused: number;
  /** Accepted writes that were not delivered by the end. */
  readonly left: number;
}

const [, , directory = ''] = process.argv;
const REFUSALS = 10;
const MAX_WRITES = 5_000;
const SMALL = 20_000;
const LARGE = 150_000;

const fixture = await openStorageFixture();
const storage = await fixture.storage({
  acknowledgeWithinMs: 0,
  journal: { directory, segmentBytes: 262_144 },
});
await storage.ready();
fixture.supabase.wire.faults.set('down');
fixture.s3.wire.faults.set('down');
const ledger = new ObjectLedger();
const codes: string[] = [];

/** Small objects are stored in the journal, large ones in a file each. */
async function write(number: number): Promise<void> {
  const key = `k${number}`;
  const text = `${number} `.padEnd(number % 3 === 0 ? LARGE : SMALL, 'x');
  const accepted = ledger.offered(key, text);
  try {
    await storage.upload(key, text);
    accepted();
  } catch (error) {
    codes.push(codeOf(error));
  }
}

for (let number = 0; codes.length < REFUSALS && number < MAX_WRITES; number += 1) {
  await write(number);
}
await Promise.all([fixture.supabase.wire.heal(), fixture.s3.wire.heal()]);
let left = await storage.flush({ deadlineMs: 60_000 });
const refused = codes.length;
// The disk has room again.
for (let number = MAX_WRITES; number < MAX_WRITES + 10; number += 1) await write(number);
left += await storage.flush({ deadlineMs: 60_000 });
const verdict = await compareBackends(ledger, [fixture.supabase.direct, fixture.s3.direct]);
const report: FullDiskReport = { verdict, refusals: [...new Set(codes)], refused, left };
process.stdout.write(JSON.stringify({ ...report, refusedAfter: codes.length - refused }));
await fixture.close();

function codeOf(error: unknown): string {
  const hasCode = typeof error === 'object' && error !== null && 'code' in error;
  return hasCode ? String(error.code) : String(error);
}
