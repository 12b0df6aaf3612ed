import { createServer } from 'node:http';
import { createQueueAdapter } from '@holdfast/queue';

const {
  DRAIN_MS = '5000',
  JOBS_DIRECTORY = 'jobs',
  PORT = '3000',
  REDIS_URL = 'redis://127.0.0.1:6379',
} = process.env;
const CLOSE_DEADLINE_MS = 8_000;
const REQUEST_DEADLINE_MS = 5_000;

const queue = createQueueAdapter({
  redis: { url: REDIS_URL },
  fallback: { journal: { directory: JOBS_DIRECTORY } },
});
queue.process('orders', ({ id }) => console.log('handled', id));

let isClosing = false;
const server = createServer(async ({ method, url }, response) => {
  // A server waits for a kept connection for as long as requests arrive on it: let clients make another one.
  if (isClosing) response.setHeader('connection', 'close');
  if (url === '/livez') {
    // A restart does not bring Redis back: the process lives as long as it answers.
    response.writeHead(200).end();
  } else if (url === '/readyz') {
    // Without Redis jobs go to the journal, and the pod stays ready. `critical`: they are, or will soon be refused.
    const isReady = !isClosing && queue.health().level !== 'critical';
    response.writeHead(isReady ? 200 : 503).end();
  } else if (method === 'POST' && url === '/orders') {
    try {
      const { id, accepted } = await queue.enqueue('orders', {});
      response.writeHead(202).end(JSON.stringify({ id, accepted }));
    } catch {
      response.writeHead(503, { 'retry-after': '1' }).end();
    }
  } else response.writeHead(404).end();
});
server.requestTimeout = REQUEST_DEADLINE_MS;

await queue.ready();
server.listen(Number(PORT), () => console.log('listening', server.address()));

process.once('SIGTERM', async () => {
  // Not ready any more, and still serving, until no load balancer sends requests here.
  isClosing = true;
  await new Promise((resolve) => setTimeout(resolve, Number(DRAIN_MS)));
  const overdue = setTimeout(() => server.closeAllConnections(), REQUEST_DEADLINE_MS);
  // Closing a server ends the connections that are idle then; those of requests under way are kept after their response.
  setInterval(() => server.closeIdleConnections(), 100).unref();
  await new Promise((resolve) => server.close(resolve));
  clearTimeout(overdue);
  await queue.close({ deadlineMs: CLOSE_DEADLINE_MS });
  process.exit();
});
