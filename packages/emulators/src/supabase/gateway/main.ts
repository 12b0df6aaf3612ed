import { parseArguments, serve } from '../../control/program.ts';
import { loadSettings } from '../../control/settings-file.ts';
import { createGateway } from './gateway.ts';
import { parseGatewayRoutes } from './settings.ts';

/** The program of the gateway before the services of a Supabase in containers. */

const entry = parseArguments();
serve(
  'gateway',
  createGateway(parseGatewayRoutes(await loadSettings(entry.file), process.env)),
  entry,
);
