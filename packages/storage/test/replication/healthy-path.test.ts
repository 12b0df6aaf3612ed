import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from '@jest/globals';
import { supabaseBackend } from '../../src/backends/supabase/backend.ts';
import { bytesSource } from '../../src/object/body.ts';
import { putOptions } from '../backends/put-options.ts';
import { openTestStorage } from '../open-storage.ts';

const UPLOADS = 30;

test('uploads with pauses cost one write of the journal each, and their settlements share a few', async () => {
  const { storage, clock, files } = await openTestStorage();
  await storage.upload('first', 'opens the segment');
  let writes = 0;
  files.intercept = ({ kind }) => {
    if (kind === 'sync') writes += 1;
  };
  for (let each = 0; each < UPLOADS; each += 1) {
    const { stored } = await storage.upload(`k${each}`, 'x');
    expect(stored).toBe('primary');
    await clock.advance(1);
  }
  expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
  expect(storage.getStats()).toMatchObject({ pendingWrites: 0, pendingBytes: 0 });
  expect(writes).toBeGreaterThanOrEqual(UPLOADS);
  expect(writes).toBeLessThanOrEqual(UPLOADS + 4);
  await storage.close();
});

test('whoever waits for a flush does not wait until settlements have gathered', async () => {
  const { storage, clock } = await openTestStorage();
  await storage.upload('k', 'x');
  // No timer of the fake clock fires meanwhile.
  expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
  expect(storage.getStats()).toMatchObject({ pendingWrites: 0, pendingBytes: 0 });
  expect(clock.now()).toBe(0);
  await storage.close();
}, 5_000);

test('a redirect is not followed: the key and the body go to no other server', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    request.resume();
    response.writeHead(307, { location: '/elsewhere' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  try {
    const backend = supabaseBackend({ url: `http://127.0.0.1:${port}`, key: 'a-key', bucket: 'b' });
    const body = bytesSource(Buffer.from('content'));
    const { signal } = new AbortController();
    const put = await backend.put('k', body, putOptions(body.bytes ?? Buffer.of()));
    expect(put).toMatchObject({ kind: 'unknown' });
    expect(await backend.head('k', { signal })).toMatchObject({ kind: 'transient' });
    expect(asked).toEqual(['/storage/v1/object/b/k', '/storage/v1/object/info/b/k']);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
