import { connect } from 'node:tls';

/** The result of a handshake, as seen by the server. */
export interface TlsHandshake {
  /** The server name that the client sent, if any. */
  readonly servername?: string;
  /** The negotiated version, such as `TLSv1.3`; absent after a failure. */
  readonly protocol?: string;
  /** Whether a session was resumed, without a certificate. */
  readonly resumed?: boolean;
  /** The error code, such as `ERR_SSL_UNSUPPORTED_PROTOCOL` or `ECONNRESET`. */
  readonly error?: string;
  /** The fault of the server at that time. */
  readonly fault?: string;
  /** In milliseconds since the Unix epoch, by the server's clock. */
  readonly atMs: number;
}

/** Completes a handshake, whatever the certificate. */
export function probeTls(
  { host, port }: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({
      host,
      port,
      // Checks that a server responds, not that its certificate is valid.
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
