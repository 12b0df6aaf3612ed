import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Addresses } from './storage-fixture.ts';
import type { ObjectLedger } from './object-ledger.ts';

/** More than a process writes between its last word that was heard and its end. */
const UNTOLD_WRITES = 10_000;

/**
 * Lets a process of its own write numbered objects into a journal of its own, and kills it (SIGKILL) when it
 * was told that so many were accepted. The ledger knows of those, and of as many that may have been.
 */
export async function writeUntilKilled(
  order: { addresses: Addresses; directory: string },
  ledger: ObjectLedger,
  writes: number,
): Promise<void> {
  const child = fork(join(import.meta.dirname, 'writer-main.ts'), [JSON.stringify(order)], {
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
    void exited.then(() => reject(new Error('the writer ended by itself')));
  });
  child.kill('SIGKILL');
  await exited;
  for (let write = 0; write <= accepted; write += 1) ledger.offered(...written(write))();
  // Accepted, perhaps, and nobody was told.
  for (let write = accepted + 1; write < accepted + UNTOLD_WRITES; write += 1)
    ledger.offered(...written(write));
}

function written(write: number): [key: string, text: string] {
  return [`k${write % 20}`, `${write} ${'x'.repeat(write % 100)}`];
}
