import { connect } from 'node:net';
import type { Endpoint } from './endpoint.ts';

/**
 * Connects, sends `request`, and resolves with the first result of `read`; then the connection is closed.
 * Rejects with what `read` throws, the socket's error, or the signal's own reason.
 * @param read takes each chunk of the response; `send` continues the exchange.
 */
export function oneExchange<T extends object>(
  { host, port }: Endpoint,
  request: string | Buffer,
  read: (chunk: Buffer, send: (bytes: Buffer) => void) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const socket = connect(port, host);
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
