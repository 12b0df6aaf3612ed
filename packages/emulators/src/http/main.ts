import { createServer } from 'node:http';
import { systemClock } from '@holdfast/foundation';
import { openControlServer } from '../control/control-server.ts';
import { parseArguments, serve } from '../control/program.ts';
import { createRequestLog } from '../control/request-log.ts';
import { type UpstreamRequest, handleUpstreamRequest } from './handle-request.ts';
import { createScript } from './upstream-script.ts';
import { parseUpstreamSettings } from './settings.ts';

/** The program of the upstream: an HTTP server that says what its script says. */

const entry = parseArguments();
const log = createRequestLog<UpstreamRequest>();
const read = (given: unknown): ReturnType<typeof parseUpstreamSettings> =>
  parseUpstreamSettings('upstream', given, process.env);
let { latencyMs } = read({});
const script = createScript(read({}));

const control = await openControlServer({
  file: entry.file,
  parse: (given) => read(given ?? {}),
  apply(settings) {
    script.replace(settings);
    ({ latencyMs } = settings);
    return Promise.resolve();
  },
  log,
});
const deps = { script, log, clock: systemClock, latencyMs: () => latencyMs };
const server = createServer((incoming, outgoing) => {
  if (control.handles(incoming, outgoing)) return;
  // Who goes away before the answer is not missed.
  handleUpstreamRequest(incoming, outgoing, deps).catch(() => outgoing.destroy());
});
serve('upstream', server, entry);
