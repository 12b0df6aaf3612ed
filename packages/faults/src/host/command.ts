import { type ExecFileException, execFile } from 'node:child_process';
import { HoldfastError, environment } from '@holdfast/foundation';

/** A command failed; closing undoes what earlier commands did. */
export class HostCommandError extends HoldfastError {
  readonly code = 'FAULTS_HOST_COMMAND_FAILED';

  constructor(command: readonly string[], output: string, cause: unknown) {
    const reason = output === '' ? 'see the cause' : output;
    super(`${command.join(' ')} failed: ${reason}`, { cause, outcome: 'unknown' });
  }
}

/**
 * Runs a command and resolves with its output.
 * @param variables added to this process's environment.
 * @throws HostCommandError
 */
export function run(
  command: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const done = (failure: ExecFileException | null, out: string, errors: string): void => {
      if (failure === null) {
        resolve(out);
        return;
      }
      const reason =
        failure.code === 'ENOENT' ? `${program} is not on PATH; install it` : errors.trim();
      reject(new HostCommandError(command, reason, failure));
    };
    execFile(program, args, { encoding: 'utf8', env: { ...environment, ...variables } }, done);
  });
}
