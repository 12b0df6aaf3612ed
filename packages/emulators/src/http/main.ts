import { createServer } from 'node:http';
import { environment, systemClock } from '@holdfast/foundation';
import { openProgram, serve } from '../control/program.ts';
import { type UpstreamRequest, handleUpstreamRequest } from './handle-request.ts';
import { type UpstreamSettings, parseUpstreamSettings } from './settings.ts';
import { createScript } from './upstream-script.ts';

/** The upstream program: an HTTP server that responds by a script. */

const parse = (given: unknown): UpstreamSettings =>
  parseUpstreamSettings('upstream', given ?? {}, environment);
const script = createScript(parse({}));
const program = await openProgram<UpstreamSettings, UpstreamRequest>({
  parse,
  apply: (settings) => script.replace(settings),
});
const deps = {
  script,
  log: program.log,
  clock: systemClock,
  latencyMs: () => program.settings.latencyMs,
};
const server = createServer((incoming, outgoing) => {
  if (program.handles(incoming, outgoing)) return;
  // Rejects when the client disconnects.
  handleUpstreamRequest(incoming, outgoing, deps).catch(() => outgoing.destroy());
});
serve('upstream', server, program);
