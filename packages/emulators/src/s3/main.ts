import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { openControl } from '../control/control-server.ts';
import { readEntry, serve } from '../control/entry.ts';
import { createRequestLog } from '../control/request-log.ts';
import { ruledFaults } from './fault-rules.ts';
import type { FaultHook } from './faults.ts';
import { openS3Handler } from './handler.ts';
import { KEEP_ALIVE_MS } from './listen.ts';
import { readS3ServerOptions } from './options.ts';
import type { S3Exchange } from './handler.ts';
import { type S3Settings, readS3Settings } from './settings.ts';

/** The program of the S3 server: its objects lie beside its settings, and outlast a restart. */

const entry = readEntry();
const log = createRequestLog<S3Exchange>();
const read = (given: unknown): S3Settings => readS3Settings('s3', given ?? {});
let settings = read({});
let hook: FaultHook = ruledFaults([]);

const control = await openControl({
  file: entry.file,
  read,
  enact(next) {
    if (JSON.stringify(next.faults) !== JSON.stringify(settings.faults)) {
      hook = ruledFaults(next.faults);
    }
    settings = next;
    return Promise.resolve();
  },
  log,
});
const { faults: _, ...terms } = settings;
const directory = entry.file === undefined ? undefined : join(dirname(entry.file), 'data');
const handler = await openS3Handler(
  readS3ServerOptions({
    ...terms,
    ...(directory !== undefined && { directory }),
    faults: (call) => hook(call),
  }),
  (exchange) => log.record(exchange),
);
const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 });
server.on('request', (incoming, outgoing) => {
  if (!control.answers(incoming, outgoing)) handler.serve(incoming, outgoing);
});
serve('s3', server, entry);
