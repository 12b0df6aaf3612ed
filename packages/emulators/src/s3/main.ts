import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { openControlServer } from '../control/control-server.ts';
import { parseArguments, serve } from '../control/program.ts';
import { createRequestLog } from '../control/request-log.ts';
import { faultHookOf } from '../serving/fault-rules.ts';
import type { FaultHook } from '../serving/call-faults.ts';
import { openS3Handler } from './handler.ts';
import { KEEP_ALIVE_MS } from '../serving/http-listener.ts';
import { parseS3ServerOptions } from './options.ts';
import type { S3RequestRecord } from './handler.ts';
import { type S3Settings, parseS3Settings } from './settings.ts';

/** The program of the S3 server: its objects lie beside its settings, and outlast a restart. */

const entry = parseArguments();
const log = createRequestLog<S3RequestRecord>();
const parse = (given: unknown): S3Settings => parseS3Settings('s3', given ?? {});
let settings = parse({});
let hook: FaultHook = faultHookOf([]);

const control = await openControlServer({
  file: entry.file,
  parse,
  apply(next) {
    if (JSON.stringify(next.faults) !== JSON.stringify(settings.faults)) {
      hook = faultHookOf(next.faults);
    }
    settings = next;
    return Promise.resolve();
  },
  log,
});
const { faults: _, ...terms } = settings;
const directory = entry.file === undefined ? undefined : join(dirname(entry.file), 'data');
const handler = await openS3Handler(
  parseS3ServerOptions({
    ...terms,
    ...(directory !== undefined && { directory }),
    faults: (call) => hook(call),
  }),
  (request) => log.record(request),
);
const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 });
server.on('request', (incoming, outgoing) => {
  if (!control.handles(incoming, outgoing)) handler.serve(incoming, outgoing);
});
serve('s3', server, entry);
