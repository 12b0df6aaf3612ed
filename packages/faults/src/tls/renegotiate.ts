import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '@holdfast/foundation';

/** How many bytes a client may send before it has read the request to renegotiate. */
const MAX_HELD_BYTES = 16_777_216;

/** How it ended: `gone` when the client's connection closed first. */
type RenegotiationResult = 'renegotiated' | 'failed' | 'gone';

/**
 * Asks a client on TLS 1.2 to renegotiate, before the server sends anything: a response that crosses the client's
 * second hello breaks Node's clients (EPROTO). What the client sends meanwhile is kept and unshifted afterwards.
 * Fails after `timeoutMs`, when the client's end comes, or on an error.
 * @param secure paused afterwards.
 * @param client the socket that `secure` runs over.
 */
export function renegotiate(
  secure: TLSSocket,
  client: Socket,
  { clock, timeoutMs }: { clock: Clock; timeoutMs: number },
): Promise<RenegotiationResult> {
  return new Promise((resolve) => {
    const held: Buffer[] = [];
    let heldBytes = 0;
    let isOver = false;
    const finish = (result: RenegotiationResult): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      secure.off('data', hold);
      secure.off('end', fail);
      secure.off('error', fail);
      secure.pause();
      if (result === 'renegotiated' && heldBytes > 0) secure.unshift(Buffer.concat(held));
      resolve(result);
    };
    const fail = (): void => finish('failed');
    const hold = (bytes: Buffer): void => {
      held.push(bytes);
      heldBytes += bytes.length;
      if (heldBytes > MAX_HELD_BYTES) fail();
    };
    const timer = clock.schedule(timeoutMs, fail);
    secure.on('data', hold);
    secure.once('end', fail);
    secure.once('error', fail);
    client.once('close', () => finish('gone'));
    // The second hello follows what the client has already sent.
    secure.resume();
    secure.renegotiate({}, (error) => finish(error === null ? 'renegotiated' : 'failed'));
  });
}
