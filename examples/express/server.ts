import express, { type ErrorRequestHandler } from 'express';
import { createDatabase } from '@holdfast/database';
import { createQueueAdapter } from '@holdfast/queue';
import { z } from 'zod';

const {
  DATABASE_URL = 'postgres://postgres@127.0.0.1:5432/postgres',
  JOBS_DIRECTORY = 'jobs',
  PORT = '3000',
  REDIS_URL = 'redis://127.0.0.1:6379',
} = process.env;

const database = createDatabase({ hosts: DATABASE_URL });
const queue = createQueueAdapter({
  redis: { url: REDIS_URL },
  fallback: { journal: { directory: JOBS_DIRECTORY } },
  // What does not fit is refused; what fits has its type in the handler.
  topics: { orders: z.object({ customer: z.string() }) },
});

// A job runs twice when its process dies before the acknowledgement: the second insert changes nothing, so that it
// may also be sent again after a lost reply.
queue.process('orders', async ({ id, payload }, { signal }) => {
  await database.query(
    'insert into orders (id, customer) values ($1, $2) on conflict (id) do nothing',
    [id, payload.customer],
    { idempotent: true, signal },
  );
});

let isClosing = false;
const app = express();
app.use(express.json());

app.use((_request, response, next) => {
  // A server waits for a kept connection for as long as requests arrive on it: let clients make another one.
  if (isClosing) response.set('connection', 'close');
  next();
});

app.get('/readyz', (_request, response) => {
  const isReady = !isClosing && queue.health().level !== 'critical';
  response.status(isReady ? 200 : 503).end();
});

app.post('/orders', async (request, response) => {
  // In Redis or in the journal on this disk: the client may forget it.
  const { id, accepted } = await queue.enqueue('orders', request.body);
  response.status(202).json({ id, accepted });
});

app.get('/orders/:id', async (request, response) => {
  const { rows } = await database.query(
    'select customer from orders where id = $1',
    [request.params.id],
    { idempotent: true },
  );
  if (rows[0] === undefined) response.status(404).end();
  else response.json(rows[0]);
});

// What Holdfast throws was refused in time: the client may try again.
const unavailable: ErrorRequestHandler = (error, _request, response, next) => {
  if (error?.code === 'QUEUE_SCHEMA_VIOLATION') response.status(400).json({ code: error.code });
  else if (/^(?:QUEUE|DATABASE)_/.test(error?.code)) {
    response.status(503).set('retry-after', '1').json({ code: error.code });
  } else next(error);
};
app.use(unavailable);

await queue.ready();
await database.query(
  'create table if not exists orders (id text primary key, customer text not null)',
  [],
  { idempotent: true },
);
const server = app.listen(Number(PORT), () => console.log('listening', server.address()));

process.once('SIGTERM', async () => {
  isClosing = true;
  // Requests under way are answered, then handlers end and pending jobs are delivered, then their connections close.
  // Closing a server ends the connections that are idle then; those of requests under way are kept after their response.
  setInterval(() => server.closeIdleConnections(), 100).unref();
  await new Promise((resolve) => server.close(resolve));
  await queue.close();
  await database.close();
  process.exit();
});
