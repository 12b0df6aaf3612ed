import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProcessContext } from '../context.ts';
import { CommandUsageError, ScoredModuleError, ScoreUnavailableError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import type { Check, ProbeSpec } from './check.ts';
import { probesOf } from './probe-list.ts';
import { type ProbeEnd, runInProcess } from './probe-process.ts';
import type { ScoreRequest } from './score-protocol.ts';
import { type ScoredKind, describeExport } from './scored-module.ts';

interface RunScoreOptions {
  readonly kind: ScoredKind;
  /** Of the module, absolute. */
  readonly path: string;
  /** Runs only the probes that have this in their name. */
  readonly only: string | undefined;
  readonly mode: ScoreRequest['mode'];
  readonly onProbe: (name: string) => void;
  readonly onChecks: (checks: readonly Check[]) => void;
}

/** An import does not wait for servers. */
const IMPORT_LIMIT_MS = 20_000;
/** To start a server, which the first time has to be fetched, and one probe. */
const PROBE_LIMIT_MS = 120_000;

/**
 * Runs the probes of a kind on a module, one after the other, and returns all checks.
 * @throws ScoredModuleError
 * @throws ScoreUnavailableError
 * @throws CommandUsageError
 */
export async function runScore(
  options: RunScoreOptions,
  { clock, variables, signal }: Pick<ProcessContext, 'clock' | 'variables' | 'signal'>,
): Promise<Check[]> {
  const { kind, path, only = '', mode, onProbe, onChecks } = options;
  const chosen = probesOf[kind].filter(({ name }) => name.includes(only));
  if (chosen.length === 0) {
    const names = probesOf[kind].map(({ name }) => `'${name}'`).join(', ');
    throw new CommandUsageError(`no probe has '${only}' in its name`, `The probes are ${names}.`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-score-'));
  const run = (probe: string | undefined, limitMs: number, index: number): Promise<ProbeEnd> =>
    runInProcess({
      request: { kind, path, probe, mode, directory: join(folder, String(index)) },
      limitMs,
      clock,
      variables,
      signal,
    });
  try {
    const imported = await run(undefined, IMPORT_LIMIT_MS, 0);
    if (imported.kind !== 'imported') throw importFailure(kind, path, imported);
    const all: Check[] = [];
    for (const [index, probe] of chosen.entries()) {
      onProbe(probe.name);
      const checks = checksOf(probe, await run(probe.name, PROBE_LIMIT_MS, index));
      onChecks(checks);
      all.push(...checks);
    }
    return all;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function importFailure(kind: ScoredKind, path: string, end: ProbeEnd): Error {
  const remedy = describeExport(kind);
  if (end.kind === 'failed') return new ScoredModuleError(end.text, '');
  if (end.kind === 'hangs') {
    return new ScoredModuleError(
      `${path} was not imported within ${end.afterMs / 1_000} s`,
      `It must not wait for a server when it is imported. ${remedy}`,
    );
  }
  const how = end.kind === 'died' ? ` (${end.how})` : '';
  return new ScoredModuleError(`${path} ends the process when it is imported${how}`, remedy);
}

/**
 * A module that hangs, throws or ends the process has earned none of the probe's points.
 * @throws ScoredModuleError
 * @throws ScoreUnavailableError
 */
function checksOf({ points }: ProbeSpec, end: ProbeEnd): readonly Check[] {
  if (end.kind === 'checks') return end.checks;
  if (end.kind === 'failed') {
    if (end.exitCode === EXIT.unavailable) throw new ScoreUnavailableError(end.text);
    throw new ScoredModuleError(end.text, '');
  }
  const [name, seen] = endingOf(end);
  return [{ name, seen, points, earned: 0 }];
}

/** The promise that was broken, and how. */
function endingOf(end: Exclude<ProbeEnd, { kind: 'checks' | 'failed' }>): [string, string] {
  if (end.kind === 'threw') return ['ends without an error', end.text];
  if (end.kind === 'hangs') {
    return ['ends at all', `no end within ${end.afterMs / 1_000} s, so its process was killed`];
  }
  const how = end.kind === 'died' ? `${end.how}: ${end.said}` : 'it answered nothing';
  return ['keeps the process alive', how];
}
