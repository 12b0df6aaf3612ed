import { expect, test } from '@jest/globals';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { createSupabaseStorageServer } from '@holdfast/stage';
import { createClient } from '@supabase/supabase-js';
import { supabaseBackend } from '../../src/backends/supabase/backend.ts';
import { createStorage } from '../../src/create-storage.ts';
import { BUCKET } from './servers.ts';

const PART = 6 * 1_048_576;

/**
 * A `fetch` to a server that takes `taken` bytes of one part, and then the connection breaks.
 * @param offsets receives the offset and the length of each part that is sent.
 */
function cutFetch(
  part: number,
  taken: number,
  offsets: (readonly [number, number])[],
): typeof fetch {
  let isCut = false;
  return async (input, init) => {
    if (init?.method !== 'PATCH') return fetch(input, init);
    const headers = new Headers(init.headers);
    const offset = Number(headers.get('upload-offset'));
    const bytes = new Uint8Array(await new Response(init.body).arrayBuffer());
    offsets.push([offset, bytes.byteLength]);
    if (offset !== part * PART || isCut) return fetch(input, { ...init, body: bytes });
    isCut = true;
    headers.set('content-length', String(taken));
    await fetch(input, { ...init, headers, body: bytes.subarray(0, taken) });
    throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNRESET' } });
  };
}

test.each([
  ['the last part, half accepted', 1, 500],
  ['the last part, all but one byte accepted', 1, 999],
  ['the last part, accepted, and its answer lost', 1, 1_000],
  ['the first part, half accepted', 0, PART / 2],
])('a resumable upload goes on where the server is: %s', async (_name, part, taken) => {
  const server = await createSupabaseStorageServer();
  const { url, serviceRoleKey: key } = server;
  await createClient(url, key).storage.createBucket(BUCKET);
  const sent: (readonly [number, number])[] = [];
  const backend = supabaseBackend({ url, key, bucket: BUCKET, fetch: cutFetch(part, taken, sent) });
  const storage = createStorage({
    backends: [backend],
    journal: { directory: '/storage' },
    files: createMemoryFileSystem(),
    acknowledgeWithinMs: 0,
    lateWriteMs: 100,
  });
  try {
    const bytes = Buffer.alloc(PART + 1_000, 'abc');
    await storage.upload('k', bytes);
    expect(await storage.flush({ deadlineMs: 30_000 })).toBe(0);
    expect(bytes.equals(await (await storage.download('k')).bytes())).toBe(true);
    const reached = part * PART + taken;
    const [next] = sent.slice(part + 1);
    // What the server had is not sent again; what it had whole is recognized.
    expect(next).toEqual(
      reached === bytes.byteLength
        ? undefined
        : [reached, Math.min(PART, bytes.byteLength - reached)],
    );
  } finally {
    await storage.close({ deadlineMs: 0 });
    await server.close();
  }
});
