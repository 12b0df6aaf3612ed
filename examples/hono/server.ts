import { createServer } from 'node:http';
import { S3Client } from '@aws-sdk/client-s3';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { createStorage, s3Backend } from '@holdfast/storage';

const {
  BUCKET = 'files',
  FILES_DIRECTORY = 'files',
  PORT = '3000',
  S3_URL = 'http://127.0.0.1:9000',
} = process.env;

// The credentials are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
const client = new S3Client({ endpoint: S3_URL, region: 'us-east-1', forcePathStyle: true });
const storage = createStorage({
  backends: [s3Backend({ client, bucket: BUCKET })],
  journal: { directory: `${FILES_DIRECTORY}/journal` },
  local: { directory: `${FILES_DIRECTORY}/copies` },
});

let isClosing = false;
const app = new Hono();

app.use(async (context, next) => {
  await next();
  // A server waits for a kept connection for as long as requests arrive on it: let clients make another one.
  if (isClosing) context.header('connection', 'close');
});

app.get('/readyz', (context) => {
  // Without S3 files wait in the journal, so that this process stays ready for as long as it accepts them.
  const isReady = !isClosing && storage.health().journalFailure === undefined;
  return context.body(null, isReady ? 200 : 503);
});

app.put('/files/:key', async (context) => {
  const bytes = new Uint8Array(await context.req.arrayBuffer());
  const { stored } = await storage.upload(context.req.param('key'), bytes);
  // 'primary': S3 has it. Otherwise it is in the journal, and S3 gets it later.
  return context.json({ stored }, stored === 'primary' ? 201 : 202);
});

app.get('/files/:key', async (context) => {
  const download = await storage.download(context.req.param('key'));
  return context.body(new Uint8Array(await download.bytes()), 200, { 'x-from': download.from });
});

app.onError((error, context) => {
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'STORAGE_NOT_FOUND') return context.body(null, 404);
  if (code.startsWith('STORAGE_')) return context.json({ code }, 503, { 'retry-after': '1' });
  throw error;
});

await storage.ready();
const server = createServer(getRequestListener(app.fetch));
server.listen(Number(PORT), () => console.log('listening', server.address()));

process.once('SIGTERM', async () => {
  isClosing = true;
  // Closing a server ends the connections that are idle then; those of requests under way are kept after their response.
  setInterval(() => server.closeIdleConnections(), 100).unref();
  await new Promise((resolve) => server.close(resolve));
  await storage.close();
  client.destroy();
  process.exit();
});
