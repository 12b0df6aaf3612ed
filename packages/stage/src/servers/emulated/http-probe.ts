import { request } from 'node:http';
import type { Endpoint } from '../../system/endpoint.ts';

/** Resolves when a server answers a GET with a status below 500; over a connection of its own. */
export function probeHttp(
  { host, port }: Endpoint,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : error);
    const sent = request({ host, port, path, agent: false, signal }, (response) => {
      response.once('error', fail).once('end', () => {
        const { statusCode = 500 } = response;
        if (statusCode < 500) resolve();
        else reject(new Error(`${path} was answered with ${statusCode}`));
      });
      response.resume();
    });
    sent.once('error', fail).end();
  });
}
