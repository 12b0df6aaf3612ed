import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { HerdOptions } from './herd-main.ts';

const MODULE = join(import.meta.dirname, 'herd-main.ts');

/** Lets processes ask for one cold key at one moment; the values that they got. */
export async function runHerd(processes: number, options: HerdOptions): Promise<Set<string>> {
  const children = Array.from({ length: processes }, () =>
    fork(MODULE, [JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
  );
  try {
    await Promise.all(children.map((child) => once(child, 'message')));
    const answers = await Promise.all(
      children.map(async (child) => {
        const answer = once(child, 'message');
        child.send('go');
        const [values]: string[][] = await answer;
        return values ?? [];
      }),
    );
    return new Set(answers.flat());
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}
