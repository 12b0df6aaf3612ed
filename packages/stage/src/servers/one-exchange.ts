import { connect } from 'node:net';
import type { Address } from '../topology/server-spec.ts';

/**
 * Connects, sends `request`, and resolves with the first result that `read` returns; then the connection is closed.
 * Rejects with what `read` throws, with the socket's error, or with the signal's reason.
 * @param read takes each chunk of the response; `send` continues the conversation.
 */
export function oneExchange<T extends object>(
  address: Address,
  request: string | Buffer,
  read: (chunk: Buffer, send: (bytes: Buffer) => void) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const socket = connect(address.port, address.host);
    const settle = (conclude: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      conclude();
    };
    const onAbort = (): void => settle(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (error) => settle(() => reject(error)));
    socket.on('close', () => settle(() => reject(new Error('closed before it answered'))));
    socket.on('data', (chunk) => {
      try {
        const result = read(chunk, (bytes) => void socket.write(bytes));
        if (result !== undefined) settle(() => resolve(result));
      } catch (error) {
        settle(() => reject(error));
      }
    });
    socket.write(request);
  });
}
