import { fastify } from 'fastify';
import { addQueue } from './queue-plugin.ts';

const {
  JOBS_DIRECTORY = 'jobs',
  PORT = '3000',
  REDIS_URL = 'redis://127.0.0.1:6379',
} = process.env;

const app = fastify();
// On the instance itself, not by `register`, which would give the queue to its own scope only.
await addQueue(app, { redisUrl: REDIS_URL, directory: JOBS_DIRECTORY });

app.queue.process('orders', ({ id }) => console.log('handled', id));

let isClosing = false;
app.get('/readyz', async (_request, reply) => {
  const isReady = !isClosing && app.queue.health().level !== 'critical';
  return reply.code(isReady ? 200 : 503).send();
});

app.post('/orders', async (request, reply) => {
  const { id, accepted } = await app.queue.enqueue('orders', request.body);
  return reply.code(202).send({ id, accepted });
});

app.setErrorHandler<Error & { code?: string }>((error, _request, reply) => {
  if (!error.code?.startsWith('QUEUE_')) return reply.send(error);
  return reply.code(503).header('retry-after', '1').send({ code: error.code });
});

console.log('listening', await app.listen({ port: Number(PORT) }));

process.once('SIGTERM', async () => {
  isClosing = true;
  // Closing a server ends the connections that are idle then; those of requests under way are kept after their response.
  setInterval(() => app.server.closeIdleConnections(), 100).unref();
  await app.close();
  process.exit();
});
