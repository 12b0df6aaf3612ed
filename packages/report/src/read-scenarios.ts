import { readFileSync } from 'node:fs';
import { InvalidOptionError } from '@holdfast/foundation';
import type { ScenarioRecord } from './report.ts';
import { parseScenario } from './scenario.ts';

/** Whether the run of a `run.json` was stopped before its end. */
export function wasInterrupted(path: string): boolean {
  const run: unknown = JSON.parse(readFileSync(path, 'utf8'));
  return (
    typeof run === 'object' && run !== null && 'interrupted' in run && run.interrupted === true
  );
}

/**
 * Reads the scenarios from a `run.json`.
 * @throws InvalidOptionError when the file is not a `run.json`
 */
export function parseScenarios(owner: string, path: string): ScenarioRecord[] {
  const run: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (
    typeof run !== 'object' ||
    run === null ||
    !('scenarios' in run) ||
    !Array.isArray(run.scenarios)
  ) {
    throw new InvalidOptionError(owner, path, run, 'a run.json');
  }
  return run.scenarios.map((given) => parseScenario(owner, given));
}
