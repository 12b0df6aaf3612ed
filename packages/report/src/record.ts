import { environment } from '@holdfast/foundation';
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { RecordNotWrittenError } from './errors.ts';
import type { ScenarioRecord } from './report.ts';
import { parseScenario } from './scenario.ts';

/** Names the folder that the reporter set up for this run, in the environment of every test process. */
export const RECORDS_VARIABLE = 'HOLDFAST_RECORDS_DIRECTORY';

/** What one process may write down in one run. */
const MAX_RECORDS_BYTES = 16 * 1024 * 1024;

/**
 * Hands a scenario to the run's report; outside a run with the reporter it only validates. It reaches
 * the disk before this returns: a process that is killed afterwards takes no record with it.
 * @throws InvalidOptionError naming the field
 * @throws RecordNotWrittenError
 */
export function record(scenario: ScenarioRecord): void {
  const valid = parseScenario('record', scenario);
  const directory = environment[RECORDS_VARIABLE];
  if (directory === undefined || directory === '') return;
  // One file a process, so that no two writers share a line. The line break comes first as well: what
  // follows a line cut short by a full disk still stands on its own.
  const path = join(directory, `${process.pid}.jsonl`);
  const line = Buffer.from(`\n${JSON.stringify(valid)}\n`);
  try {
    append(path, line);
  } catch (error) {
    throw new RecordNotWrittenError(
      `record: '${valid.scenario}' could not be appended to ${path}; the report will miss it`,
      { cause: error, outcome: 'not-applied' },
    );
  }
}

function append(path: string, line: Buffer): void {
  const file = openSync(path, 'a');
  try {
    if (fstatSync(file).size + line.length > MAX_RECORDS_BYTES) {
      throw new RangeError(`the file would exceed ${MAX_RECORDS_BYTES} bytes`);
    }
    const written = writeSync(file, line);
    if (written < line.length) throw new RangeError(`only ${written} of ${line.length} bytes fit`);
  } finally {
    closeSync(file);
  }
}
