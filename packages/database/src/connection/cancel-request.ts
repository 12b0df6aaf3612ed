import { connect } from 'node:net';
import type { Clock } from '@holdfast/foundation';

/** The server's address, and the backend to cancel there. */
interface CancelKey {
  /** A name or an address; a path is the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly processId: number;
  readonly secretKey: number;
}

const CANCEL_REQUEST_CODE = 80_877_102;

/**
 * Sends a CancelRequest on a separate socket and waits until the server closes it. The server has sent the
 * signal by then, so the request cannot hit a later query. It is sent without TLS, as libpq did until
 * version 17: the server accepts it before authentication, and the key is good for nothing else.
 * @returns true when the server closed the socket; false after `timeoutMs`, or when it was unreachable.
 */
export function sendCancel(key: CancelKey, clock: Clock, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    let sent = false;
    const socket = connect(
      key.host.startsWith('/')
        ? { path: `${key.host}/.s.PGSQL.${key.port}` }
        : { host: key.host, port: key.port, noDelay: true },
    );
    const settle = (delivered: boolean): void => {
      timer.cancel();
      // Data already written still arrives: a frozen server reads it when it resumes.
      socket.destroy();
      resolve(delivered);
    };
    const timer = clock.schedule(timeoutMs, () => settle(false));
    socket.on('error', () => {
      sent = false;
    });
    socket.on('close', () => settle(sent));
    socket.on('connect', () => {
      socket.write(requestFor(key), () => {
        sent = true;
      });
      socket.resume();
    });
  });
}

function requestFor({ processId, secretKey }: CancelKey): Buffer {
  const request = Buffer.allocUnsafe(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(CANCEL_REQUEST_CODE, 4);
  request.writeInt32BE(processId, 8);
  request.writeInt32BE(secretKey, 12);
  return request;
}
