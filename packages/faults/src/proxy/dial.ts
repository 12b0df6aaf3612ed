import type { Socket } from 'node:net';
import type { Clock } from '@holdfast/foundation';

/** How a dial ended: `gone` when the client closed first. */
type DialResult = 'connected' | 'refused' | 'gone';

/**
 * Waits until a server accepts, fails, or takes too long, and destroys its socket unless it accepted. The server's
 * socket is also destroyed when the client closes, then or later.
 */
export function dialResult(
  client: Socket,
  server: Socket,
  options: {
    readonly clock: Clock;
    readonly timeoutMs: number;
    readonly event: 'connect' | 'secureConnect';
  },
): Promise<DialResult> {
  return new Promise((resolve) => {
    const finish = (result: DialResult): void => {
      timer.cancel();
      server.off('error', refuse);
      resolve(result);
    };
    const refuse = (): void => {
      finish('refused');
      // An error may follow one that was handled.
      server.on('error', () => {});
      server.destroy();
    };
    const timer = options.clock.schedule(options.timeoutMs, refuse);
    server.once('error', refuse);
    server.once(options.event, () => finish('connected'));
    client.once('close', () => {
      finish('gone');
      server.destroy();
    });
  });
}
