import { connect } from 'node:net';
import type { Clock } from '@holdfast/foundation';

/** Where to ask, and about whom. */
export interface CancelKey {
  readonly host: string;
  readonly port: number;
  readonly processId: number;
  readonly secretKey: number;
}

const CANCEL_REQUEST_CODE = 80_877_102;

/**
 * Sends a CancelRequest on a socket of its own and waits for the server to hang up, by which time the signal
 * has been sent: it is not pending any more and cannot hit a later query. In the clear, as libpq did until
 * version 17: the server takes it before any authentication, and the key is worth nothing but this.
 * @returns true when the server hung up, false when `timeoutMs` was over or it could not be reached.
 */
export function sendCancel(key: CancelKey, clock: Clock, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    let sent = false;
    const socket = connect({ host: key.host, port: key.port, noDelay: true });
    const settle = (over: boolean): void => {
      timer.cancel();
      // What was written still arrives: a frozen server reads it when it wakes up.
      socket.destroy();
      resolve(over);
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
