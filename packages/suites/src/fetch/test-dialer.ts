import { connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { DialOptions, DialTarget, DialedConnection, Dialer } from '@holdfast/network';
import { onAbort } from '@holdfast/foundation';

/** Dials by name from a table, the rest as it is; without checks, which are the real dialer's. */
export class TestDialer implements Dialer {
  readonly addresses = new Map<string, string>();
  dials = 0;
  /** Dials wait until it is resolved. */
  gate: PromiseWithResolvers<void> | undefined;
  /** How many of the next dials are refused. */
  refusals = 0;
  revision = 1;
  ca: string | undefined;

  async dial(target: DialTarget, options: DialOptions = {}): Promise<DialedConnection> {
    this.dials += 1;
    if (this.refusals > 0) {
      this.refusals -= 1;
      throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    }
    const { signal, protocols } = options;
    const { hostname, port, secure } = target;
    const host = this.addresses.get(hostname) ?? hostname;
    const { revision } = this;
    await this.gate?.promise;
    const socket = secure
      ? connectTls({
          host,
          port,
          // Node 26 refuses an address in its place.
          ...(isIP(hostname) === 0 && { servername: hostname }),
          ...(protocols && { ALPNProtocols: [...protocols] }),
          ...(this.ca !== undefined && { ca: this.ca }),
        })
      : connect({ host, port });
    socket.setNoDelay(true);
    return new Promise((resolve, reject) => {
      const release = onAbort(signal, () => {
        socket.destroy();
        reject(signal?.reason);
      });
      socket.once('error', (error) => {
        release();
        reject(error);
      });
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        release();
        socket.removeAllListeners('error');
        socket.on('error', () => {});
        const protocol = 'alpnProtocol' in socket ? socket.alpnProtocol : undefined;
        resolve({
          socket,
          address: { address: host, family: 4 },
          revision,
          ...(typeof protocol === 'string' && { protocol }),
        });
      });
    });
  }
}
