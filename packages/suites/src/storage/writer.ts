import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Addresses } from './storage-fixture.ts';
import type { ObjectLedger } from './object-ledger.ts';

/** More objects than a process writes between its last received report and its exit. */
const UNTOLD_WRITES = 10_000;

/**
 * Lets a child process write numbered objects into its own journal, and kills it (SIGKILL) once it has reported
 * that many accepted writes. The ledger gets those, and as possibly accepted the ones that may have followed.
 */
export async function writeUntilKilled(
  options: { addresses: Addresses; directory: string },
  ledger: ObjectLedger,
  writes: number,
): Promise<void> {
  const child = fork(join(import.meta.dirname, 'writer-main.ts'), [JSON.stringify(options)], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  let accepted = -1;
  await new Promise<void>((resolve, reject) => {
    child.on('message', (message: { write: number }) => {
      accepted = message.write;
      if (accepted + 1 >= writes) resolve();
    });
    void exited.then(() => reject(new Error('the writer exited without being killed')));
  });
  child.kill('SIGKILL');
  await exited;
  for (let write = 0; write <= accepted; write += 1) ledger.offered(...written(write))();
  // These may have been accepted without a report.
  for (let write = accepted + 1; write < accepted + UNTOLD_WRITES; write += 1)
    ledger.offered(...written(write));
}

function written(write: number): [key: string, text: string] {
  return [`k${write % 20}`, `${write} ${'x'.repeat(write % 100)}`];
}
