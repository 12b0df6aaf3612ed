import { readEntry, serve } from '../control/entry.ts';
import { loadSettings } from '../control/settings-file.ts';
import { createGateway } from './gateway.ts';
import { readGatewayRoutes } from './gateway-settings.ts';

/** The program of the gateway before the services of a Supabase in containers. */

const entry = readEntry();
serve(
  'gateway',
  createGateway(readGatewayRoutes(await loadSettings(entry.file), process.env)),
  entry,
);
