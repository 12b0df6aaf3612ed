import { environment } from '@holdfast/foundation';
import { parseArguments, serve } from '../../control/program.ts';
import { loadSettings } from '../../control/settings-file.ts';
import { createGateway } from './gateway.ts';
import { parseGatewayRoutes } from './settings.ts';

/** The gateway program, in front of the services of a Supabase in containers. */

const entry = parseArguments();
const routes = parseGatewayRoutes(await loadSettings(entry.file), environment);
serve('gateway', createGateway(routes), entry);
