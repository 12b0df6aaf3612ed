import { openProgram, serve } from '../control/program.ts';
import { createHttpServer } from '../serving/http-listener.ts';
import { Portal } from './portal.ts';
import { type PortalSettings, parsePortalSettings } from './settings.ts';

/** The program of the portal, with the settings file and control path that all programs have. */

const parse = (given: unknown): PortalSettings => parsePortalSettings('portal', given);
const portal = new Portal(parse({}));
const program = await openProgram<PortalSettings, never>({
  parse,
  apply: (settings) => portal.apply(settings),
  queries: { stats: async () => portal.getStats() },
});
const server = createHttpServer((incoming, outgoing) => {
  if (!program.handles(incoming, outgoing)) portal.serve(incoming, outgoing);
});
serve('portal', server, program);
