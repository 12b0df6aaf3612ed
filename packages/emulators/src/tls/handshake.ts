import { connect } from 'node:tls';

/** How one client fared, as the server has seen it. */
export interface TlsHandshake {
  /** Whom the client asked for, where it said so. */
  readonly servername?: string;
  /** What was agreed on, such as `TLSv1.3`; absent where nothing was. */
  readonly protocol?: string;
  /** What it failed of, such as `ERR_SSL_UNSUPPORTED_PROTOCOL` or `ECONNRESET`. */
  readonly error?: string;
  /** What was wrong with what the client was shown. */
  readonly fault?: string;
  /** When, in milliseconds since the Unix epoch, by the server's own clock. */
  readonly atMs: number;
}

/** Shakes hands, whatever the server shows; resolves when it has shown it. */
export function probeTls(
  { host, port }: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({
      host,
      port,
      // It asks whether there is a server, not whether it is the right one.
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const settle = (conclude: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      conclude();
    };
    const onAbort = (): void => settle(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('secureConnect', () => settle(resolve));
    socket.on('error', (error) => settle(() => reject(error)));
  });
}
