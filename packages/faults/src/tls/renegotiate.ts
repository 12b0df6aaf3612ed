import type { TLSSocket } from 'node:tls';
import type { Clock } from '@holdfast/foundation';

/** What a client may have under way before it has read that it is to negotiate again. */
const MAX_HELD_BYTES = 16_777_216;

/**
 * Asks a client that speaks TLS 1.2 to negotiate again, before anything is answered: an answer that crosses
 * its second hello breaks Node's clients (EPROTO). What it sends meanwhile is kept, and given back.
 * @param secure it is paused afterwards.
 * @param onDone is told once whether the client did; it has not in time, or its end has come before.
 * @returns what gives it up without a word.
 */
export function renegotiate(
  secure: TLSSocket,
  limit: { clock: Clock; limitMs: number },
  onDone: (hasDone: boolean) => void,
): () => void {
  const held: Buffer[] = [];
  let heldBytes = 0;
  let isOver = false;
  const leave = (): void => {
    isOver = true;
    timer.cancel();
    secure.off('data', hold);
    secure.off('end', fail);
    secure.off('error', fail);
    secure.pause();
  };
  const finish = (hasDone: boolean): void => {
    if (isOver) return;
    leave();
    if (hasDone && heldBytes > 0) secure.unshift(Buffer.concat(held));
    onDone(hasDone);
  };
  const fail = (): void => finish(false);
  const hold = (bytes: Buffer): void => {
    held.push(bytes);
    heldBytes += bytes.length;
    if (heldBytes > MAX_HELD_BYTES) fail();
  };
  const timer = limit.clock.schedule(limit.limitMs, fail);
  secure.on('data', hold);
  secure.once('end', fail);
  secure.once('error', fail);
  // The second hello comes behind what is under way.
  secure.resume();
  secure.renegotiate({}, (error) => finish(error === null));
  return () => {
    if (!isOver) leave();
  };
}
