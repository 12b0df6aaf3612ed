import { createServer } from 'node:http';
import { systemClock } from '@holdfast/foundation';
import { openControl } from '../control/control-server.ts';
import { readEntry, serve } from '../control/entry.ts';
import { createRequestLog } from '../control/request-log.ts';
import { type UpstreamRequest, exchange } from './exchange.ts';
import { createScript } from './script.ts';
import { readUpstreamSettings } from './settings.ts';

/** The program of the upstream: an HTTP server that says what its script says. */

const entry = readEntry();
const log = createRequestLog<UpstreamRequest>();
const read = (given: unknown): ReturnType<typeof readUpstreamSettings> =>
  readUpstreamSettings('upstream', given, process.env);
let { latencyMs } = read({});
const script = createScript(read({}));

const control = await openControl({
  file: entry.file,
  read: (given) => read(given ?? {}),
  enact(settings) {
    script.replace(settings);
    ({ latencyMs } = settings);
    return Promise.resolve();
  },
  log,
});
const surroundings = { script, log, clock: systemClock, latencyMs: () => latencyMs };
const server = createServer((incoming, outgoing) => {
  if (control.answers(incoming, outgoing)) return;
  // Who goes away before the answer is not missed.
  exchange(incoming, outgoing, surroundings).catch(() => outgoing.destroy());
});
serve('upstream', server, entry);
