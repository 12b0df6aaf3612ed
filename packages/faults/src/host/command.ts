import { type ExecFileException, execFile } from 'node:child_process';
import { HoldfastError } from '@holdfast/foundation';

/** The command failed; what it did before is undone by closing. */
export class HostCommandError extends HoldfastError {
  readonly code = 'FAULTS_HOST_COMMAND_FAILED';

  constructor(command: readonly string[], said: string, cause: unknown) {
    const why = said === '' ? 'see the cause' : said;
    super(`${command.join(' ')} failed: ${why}`, { cause, outcome: 'unknown' });
  }
}

/**
 * Runs a command; what it printed.
 * @param environment what it is given beside this process's own variables.
 * @throws HostCommandError
 */
export function run(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const done = (failure: ExecFileException | null, out: string, said: string): void => {
      if (failure === null) {
        resolve(out);
        return;
      }
      const why = failure.code === 'ENOENT' ? `${program} is not on PATH; install it` : said.trim();
      reject(new HostCommandError(command, why, failure));
    };
    execFile(program, args, { encoding: 'utf8', env: { ...process.env, ...environment } }, done);
  });
}
