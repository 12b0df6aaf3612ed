import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { openControlServer } from '../control/control-server.ts';
import { parseArguments, serve } from '../control/program.ts';
import { createRequestLog } from '../control/request-log.ts';
import { faultHookOf } from '../serving/fault-rules.ts';
import type { FaultHook } from '../serving/call-faults.ts';
import { KEEP_ALIVE_MS } from '../serving/http-listener.ts';
import { supabaseKeys } from './client-keys.ts';
import {
  type SupabaseRequestRecord,
  type SupabaseHandler,
  openSupabaseHandler,
} from './handler.ts';
import { parseSupabaseOptions } from './options.ts';
import { openRest } from './rest.ts';
import { type SupabaseSettings, parseSupabaseSettings } from './settings.ts';

/** The program of the Supabase: its objects lie beside its settings, and outlast a restart. */

const entry = parseArguments();
const log = createRequestLog<SupabaseRequestRecord>();
const parse = (given: unknown): SupabaseSettings => parseSupabaseSettings('supabase', given ?? {});
let settings = parse({});
let hook: FaultHook = faultHookOf([]);
let handler: SupabaseHandler | undefined;

const control = await openControlServer({
  file: entry.file,
  parse,
  apply(next) {
    if (JSON.stringify(next.faults) !== JSON.stringify(settings.faults)) {
      hook = faultHookOf(next.faults);
    }
    settings = next;
    const { policies, readOnly, database } = next;
    handler?.setFaults({ policies, readOnly, database });
    return Promise.resolve();
  },
  log,
});
const { faults: _, rest: tables, policies, readOnly, database, ...terms } = settings;
const directory = entry.file === undefined ? undefined : join(dirname(entry.file), 'data');
const opened = await openSupabaseHandler(
  parseSupabaseOptions({
    ...terms,
    policies,
    ...(directory !== undefined && { directory }),
    faults: (call) => hook(call),
  }),
  (request) => log.record(request),
);
opened.setFaults({ policies, readOnly, database });
handler = opened;
const rest =
  tables === undefined
    ? undefined
    : await openRest(
        tables,
        supabaseKeys(settings.jwtSecret),
        directory === undefined ? undefined : join(directory, 'rest.sqlite'),
      );
const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 });
server.on('request', (incoming, outgoing) => {
  if (control.handles(incoming, outgoing)) return;
  if (rest?.handles(incoming, outgoing) !== true) opened.serve(incoming, outgoing);
});
serve('supabase', server, entry);
