import { environment, systemClock } from '@holdfast/foundation';
import { openProgram, serve } from '../control/program.ts';
import { createHttpServer } from '../serving/http-listener.ts';
import { EsimGoApi, type EsimGoRequestRecord } from './api/esim-go-api.ts';
import { type EsimGoSettings, parseEsimGoSettings } from './api/options.ts';
import { createEsimGoHandler } from './http-handler.ts';

/** The eSIM Go program. Its variables are `API_KEY`, `FAILURE_RATE`, `LATENCY_MS`, `PORT`, `ROWS` and `SEED`. */

const parse = (given: unknown): EsimGoSettings =>
  parseEsimGoSettings('esim-go', given ?? {}, environment);
const api = new EsimGoApi(parse({}), systemClock, (record) => program.log.record(record));
const program = await openProgram<EsimGoSettings, EsimGoRequestRecord>({
  parse,
  apply: (settings) => api.apply(settings),
  queries: { stats: async () => api.getStats() },
});
const handler = createEsimGoHandler(api, systemClock);
const server = createHttpServer((incoming, outgoing) => {
  if (!program.handles(incoming, outgoing)) handler.serve(incoming, outgoing);
});
serve('esim-go', server, program);
