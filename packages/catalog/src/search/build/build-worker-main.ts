/** The thread that `buildIndex` starts: adds the batches that come, and sends the index. */
import { parentPort, workerData } from 'node:worker_threads';
import { describeThrown } from '@holdfast/foundation';
import { IndexBuildError } from '../errors.ts';
import { decodeBatch } from './batch.ts';
import { IndexBuilder } from './index-builder.ts';
import type { BuildReply, BuildRequest, BuildWorkerData } from './messages.ts';

const { maxBytes }: BuildWorkerData = workerData;
const builder = new IndexBuilder({ maxBytes });

function replyTo(request: BuildRequest): BuildReply {
  try {
    if (request.kind === 'finish') return { kind: 'built', index: builder.finish() };
    builder.add(decodeBatch(request.bytes));
    return { kind: 'added' };
  } catch (error) {
    if (error instanceof IndexBuildError) {
      return { kind: 'failed', reason: error.reason, seen: error.seen };
    }
    // No memory for a column.
    if (error instanceof RangeError) {
      return { kind: 'failed', reason: 'out-of-memory', seen: describeThrown(error) };
    }
    // It ends the thread, and the other side hears of it.
    throw error;
  }
}

parentPort?.on('message', (request: BuildRequest) => {
  const reply = replyTo(request);
  parentPort?.postMessage(reply, []);
});
