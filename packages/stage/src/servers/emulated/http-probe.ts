import { request } from 'node:http';
import type { Address } from '../../topology/server-spec.ts';

/** Resolves when a server says anything to a GET but that it is not well; over a connection of its own. */
export function probeHttp(
  { host, port }: Address,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : error);
    const asked = request({ host, port, path, agent: false, signal }, (answer) => {
      answer.once('error', fail).once('end', () => {
        const { statusCode = 500 } = answer;
        if (statusCode < 500) resolve();
        else reject(new Error(`${path} was answered with ${statusCode}`));
      });
      answer.resume();
    });
    asked.once('error', fail).end();
  });
}
