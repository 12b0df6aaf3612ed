import { type Socket, connect } from 'node:net';
import { onAbort } from '@holdfast/foundation';
import { addressBytes } from '@holdfast/protocols';
import type { IpAddress } from '../network.ts';

/**
 * Connects to the address, and to nothing else: there is no lookup, and the address that is connected is compared.
 * Rejects with the socket's error or the signal's reason; then no socket is left.
 */
export function connectSocket(
  { address, family }: IpAddress,
  port: number,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const socket = connect({ host: address, port, family, noDelay: true });
    const settle = (conclude: () => void): void => {
      release();
      socket.off('error', onError);
      socket.off('connect', onConnect);
      conclude();
    };
    const fail = (error: unknown): void =>
      settle(() => {
        socket.on('error', () => {});
        socket.destroy();
        reject(error);
      });
    const onError = (error: Error): void => fail(error);
    const onConnect = (): void => {
      const { remoteAddress } = socket;
      if (remoteAddress !== undefined && isSame(remoteAddress, address))
        settle(() => resolve(socket));
      else fail(new ConnectedElsewhereError(address, remoteAddress));
    };
    const release = onAbort(signal, () => fail(signal.reason));
    socket.on('error', onError);
    socket.on('connect', onConnect);
  });
}

/** The system connected another address than it was told, or the connection was gone at once. */
class ConnectedElsewhereError extends Error {
  readonly code: string;

  constructor(address: string, remoteAddress: string | undefined) {
    const isGone = remoteAddress === undefined;
    super(isGone ? `${address} closed the connection` : `${remoteAddress} answered for ${address}`);
    this.code = isGone ? 'ECONNRESET' : 'ERR_CONNECTED_ELSEWHERE';
  }
}

function isSame(one: string, other: string): boolean {
  return one === other || canonical(one).equals(canonical(other));
}

/** As 16 bytes, an IPv4 address as the mapped one, without a zone. */
function canonical(address: string): Buffer {
  const bytes = addressBytes(address.replace(/%.*$/, ''));
  return bytes.length === 16 ? bytes : addressBytes(`::ffff:${address}`);
}
