import { resolve } from 'node:path';
import { Option } from 'commander';
import type { CliContext } from '../context.ts';
import type { KeptStage } from '../stage/stage-state.ts';
import { widthOf, wrap } from '../terminal/wrap.ts';

/** The options that all commands of the stage have. */
export interface StageCommandOptions {
  readonly directory: string;
  readonly json?: true;
}

export const directoryOption: Option = new Option(
  '--directory <path>',
  'the folder that records what is up',
)
  .default('.holdfast')
  .argParser((path: string) => resolve(path));

export const jsonOption: Option = new Option('--json', 'print one JSON object');

/** A message for people, which is not part of what a program reads. */
export function tell({ stderr }: CliContext, text: string): void {
  stderr.write(`${wrap(text, widthOf(stderr), '  ').join('\n')}\n`);
}

/** The variables of a stage as lines for a shell or a `.env` file, or the whole stage as JSON. */
export function printStage({ stdout }: CliContext, stage: KeptStage, asJson: boolean): void {
  if (asJson) {
    stdout.write(`${JSON.stringify({ up: true, ...stage }, undefined, 2)}\n`);
    return;
  }
  for (const [name, value] of Object.entries(stage.variables)) {
    stdout.write(`${name}=${quoted(value)}\n`);
  }
}

export function sinceOf({ clock }: CliContext, { startedAtEpochMs, pid, mode }: KeptStage): string {
  const minutes = Math.floor((clock.epochMs() - startedAtEpochMs) / 60_000);
  return `mode ${mode}, pid ${pid}, for ${minutes} min`;
}

/** As a shell and a `.env` file read it. */
function quoted(value: string): string {
  return /^[\w@%+=:,./-]*$/.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`;
}
