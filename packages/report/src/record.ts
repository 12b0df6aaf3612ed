import { environment } from '@holdfast/foundation';
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { RecordNotWrittenError } from './errors.ts';
import type { ScenarioRecord } from './report.ts';
import { parseScenario } from './scenario.ts';

/** The environment variable that names the folder of this run's records, set for every test process. */
export const RECORDS_VARIABLE = 'HOLDFAST_RECORDS_DIRECTORY';

/** The maximum size of the records of one process in one run. */
const MAX_RECORDS_BYTES = 16 * 1024 * 1024;

/**
 * Adds a scenario to the run's report; outside a run with the reporter it only validates. The record reaches
 * the disk before this returns, so a process that is killed afterwards loses no record.
 * @throws InvalidOptionError naming the field
 * @throws RecordNotWrittenError
 */
export function record(scenario: ScenarioRecord): void {
  const valid = parseScenario('record', scenario);
  const directory = environment[RECORDS_VARIABLE];
  if (directory === undefined || directory === '') return;
  // One file per process, so that no two writers share a line. Each record also starts with a line break, so
  // that a record after a line cut short by a full disk is still on its own line.
  const path = join(directory, `${process.pid}.jsonl`);
  const line = Buffer.from(`\n${JSON.stringify(valid)}\n`);
  try {
    append(path, line);
  } catch (error) {
    throw new RecordNotWrittenError(
      `record: '${valid.scenario}' could not be appended to ${path}; the report will lack it`,
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
