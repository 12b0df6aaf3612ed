import cluster, { type Worker } from 'node:cluster';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createQueueAdapter } from '@holdfast/queue';

const {
  INSTANCES = '2',
  JOBS_DIRECTORY = 'jobs',
  NODE_APP_INSTANCE = '0',
  PORT = '3000',
  REDIS_URL = 'redis://127.0.0.1:6379',
} = process.env;

// Under PM2 every process is a worker.
if (cluster.isPrimary) runPrimary();
else await runWorker();

function runPrimary(): void {
  const workers = new Map<number, Worker>();
  let isStopping = false;

  function fork(instance: number): void {
    // A successor gets the number of its predecessor, and so its directory and the jobs in it.
    const worker = cluster.fork({ NODE_APP_INSTANCE: instance });
    workers.set(instance, worker);
    worker.once('exit', () => {
      workers.delete(instance);
      if (!isStopping) fork(instance);
    });
  }

  for (let instance = 0; instance < Number(INSTANCES); instance += 1) fork(instance);
  process.once('SIGTERM', () => {
    isStopping = true;
    for (const { process: child } of workers.values()) child.kill('SIGTERM');
  });
}

async function runWorker(): Promise<void> {
  const queue = createQueueAdapter({
    redis: { url: REDIS_URL },
    fallback: { journal: { directory: join(JOBS_DIRECTORY, NODE_APP_INSTANCE) } },
  });
  queue.process('orders', ({ id }) => console.log('handled', id));
  await queue.ready();

  let isClosing = false;
  const server = createServer(async (_request, response) => {
    // A server waits for a kept connection for as long as requests arrive on it: let clients make another one.
    if (isClosing) response.setHeader('connection', 'close');
    try {
      const { id, accepted } = await queue.enqueue('orders', { instance: NODE_APP_INSTANCE });
      response.writeHead(202).end(JSON.stringify({ id, accepted, pid: process.pid }));
    } catch {
      response.writeHead(503, { 'retry-after': '1' }).end();
    }
  });
  server.listen(Number(PORT), () => {
    console.log(`listening ${NODE_APP_INSTANCE} pid ${process.pid}`, server.address());
    process.send?.('ready');
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, async () => {
      isClosing = true;
      // Closing a server ends the connections that are idle then; those of requests under way are kept after their response.
      setInterval(() => server.closeIdleConnections(), 100).unref();
      await new Promise((resolve) => server.close(resolve));
      await queue.close();
      process.exit();
    });
  }
}
