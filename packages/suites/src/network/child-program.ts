import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs a program of this folder by `command` with `values`, and resolves with what it prints as JSON. */
export async function runProgram(
  name: string,
  command: readonly string[],
  values: readonly string[] = [],
): Promise<unknown> {
  const program = [process.execPath, join(import.meta.dirname, name), ...values];
  const [file = '', ...args] = command;
  const { stdout } = await run(file, [...args, ...program]);
  return JSON.parse(stdout);
}

/** Why there is no network to be had here that drops packets; `undefined` if there is. */
export function partitionObstacle(): string | undefined {
  const commands = [
    'ip link set lo up',
    'ip rule add pref 100 lookup local',
    'ip rule add pref 10 ipproto tcp sport 9 blackhole',
  ];
  const args = ['--net', 'sh', '-c', commands.join(' && ')];
  try {
    execFileSync('unshare', args, { stdio: 'ignore', timeout: 10_000 });
    return undefined;
  } catch (error) {
    return `unshare --net needs root and ip: ${String(error)}`;
  }
}
