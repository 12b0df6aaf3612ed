import { join } from 'node:path';
import { openProgram, serve } from '../control/program.ts';
import { reuseWhileEqual } from '../control/reuse-while-equal.ts';
import { faultHookOf } from '../serving/fault-rules.ts';
import { createHttpServer } from '../serving/http-listener.ts';
import { type S3RequestRecord, openS3Handler } from './handler.ts';
import { parseS3ServerOptions } from './options.ts';
import { type S3Settings, parseS3Settings } from './settings.ts';

/** The S3 program. Its objects are stored beside its settings, and survive a restart. */

const hookOf = reuseWhileEqual(faultHookOf);
let hook = hookOf([]);
const program = await openProgram<S3Settings, S3RequestRecord>({
  parse: (given) => parseS3Settings('s3', given ?? {}),
  apply: ({ faults }) => void (hook = hookOf(faults)),
});
const { directory } = program;
const { faults: _, ...options } = program.settings;
const handler = await openS3Handler(
  parseS3ServerOptions({
    ...options,
    ...(directory !== undefined && { directory: join(directory, 'data') }),
    faults: (call) => hook(call),
  }),
  (request) => program.log.record(request),
);
const server = createHttpServer((incoming, outgoing) => {
  if (!program.handles(incoming, outgoing)) handler.serve(incoming, outgoing);
});
serve('s3', server, program);
