import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Writes bytes, and resolves once more can be written. @throws when the stream is closed meanwhile. */
export async function sendAll(sink: Writable, bytes: Buffer | string): Promise<void> {
  if (sink.destroyed) throw new Error('the connection is closed');
  if (sink.write(bytes, 'latin1')) return;
  const closed = new AbortController();
  const onClose = (): void => closed.abort();
  sink.once('close', onClose);
  try {
    await once(sink, 'drain', { signal: closed.signal });
  } finally {
    sink.off('close', onClose);
  }
}
