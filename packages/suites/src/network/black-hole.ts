import { fork } from 'node:child_process';
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { join } from 'node:path';
import { settlesWithin, systemClock } from '@holdfast/foundation';

/** A port that answers no packet: neither accepts nor refuses. */
interface BlackHole {
  readonly port: number;
  close(): Promise<void>;
}

/** Far more than a loopback connection takes. */
const SILENCE_MS = 300;

/**
 * Suspends a server whose queue of connections is full: Linux then drops what comes, as a firewall or a dead host does.
 * @param host an address of this machine.
 */
export async function openBlackHole(host: string, port = 0): Promise<BlackHole> {
  const child = fork(join(import.meta.dirname, 'black-hole-main.ts'), [host, String(port)]);
  const [bound] = await once(child, 'message');
  child.kill('SIGSTOP');
  const fillers: Socket[] = [];
  for (let isFull = false; !isFull;) {
    const filler = connect({ host, port: Number(bound) });
    filler.on('error', () => {});
    fillers.push(filler);
    isFull = !(await settlesWithin(systemClock, SILENCE_MS, once(filler, 'connect')));
  }
  return {
    port: Number(bound),
    async close() {
      for (const filler of fillers) filler.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
