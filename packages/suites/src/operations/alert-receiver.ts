import { once } from 'node:events';
import { type ServerResponse, createServer } from 'node:http';
import type { AlertNotification } from '@holdfast/operations';

/** How a receiver answers its next request. */
export type ReceiverMood = 'accept' | 'fail' | 'hang' | 'busy' | 'lose-answer';

/** A receiver of alerts on the loopback, which fails as it is told to. */
export interface AlertReceiver {
  readonly url: string;
  /** What it took, in order; the same notification stands once for each time it came. */
  readonly taken: readonly AlertNotification[];
  /** How many requests came, whatever it answered. */
  readonly requests: number;
  close(): Promise<void>;
}

const TOO_MANY_REQUESTS = 429;
const UNAVAILABLE = 503;
const ACCEPTED = 202;

/** Opens a receiver; `mood` is asked for every request. */
export async function openAlertReceiver(mood: () => ReceiverMood): Promise<AlertReceiver> {
  const taken: AlertNotification[] = [];
  let requests = 0;
  const answer = (response: ServerResponse, body: string): void => {
    requests += 1;
    const now = mood();
    // The notification is taken, and its sender does not learn it.
    if (now === 'accept' || now === 'lose-answer') taken.push(JSON.parse(body));
    if (now === 'hang') return;
    if (now === 'lose-answer') response.destroy();
    else if (now === 'busy') response.writeHead(TOO_MANY_REQUESTS, { 'retry-after': '60' }).end();
    else response.writeHead(now === 'fail' ? UNAVAILABLE : ACCEPTED).end();
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(response, Buffer.concat(chunks).toString()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    taken,
    get requests() {
      return requests;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
