import { execFile } from 'node:child_process';

/** How a program of this machine failed, in words; `undefined` when it ended well. */
export function commandFailure(
  file: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(file, args, { encoding: 'utf8', signal }, (failure, _, stderr) => {
      if (failure === null) resolve(undefined);
      else if (failure.code === 'ENOENT') resolve(`${file} is not on PATH`);
      else resolve(`'${file}' ended with ${failure.code}: ${stderr.trim().replace(/\.$/, '')}`);
    });
  });
}
