import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { openControl } from '../control/control-server.ts';
import { readEntry, serve } from '../control/entry.ts';
import { createRequestLog } from '../control/request-log.ts';
import { ruledFaults } from '../s3/fault-rules.ts';
import type { FaultHook } from '../s3/faults.ts';
import { KEEP_ALIVE_MS } from '../s3/listen.ts';
import { supabaseKeys } from './client-keys.ts';
import { type SupabaseExchange, type SupabaseHandler, openSupabaseHandler } from './handler.ts';
import { readSupabaseOptions } from './options.ts';
import { openRest } from './rest.ts';
import { type SupabaseSettings, readSupabaseSettings } from './settings.ts';

/** The program of the Supabase: its objects lie beside its settings, and outlast a restart. */

const entry = readEntry();
const log = createRequestLog<SupabaseExchange>();
const read = (given: unknown): SupabaseSettings => readSupabaseSettings('supabase', given ?? {});
let settings = read({});
let hook: FaultHook = ruledFaults([]);
let handler: SupabaseHandler | undefined;

const control = await openControl({
  file: entry.file,
  read,
  enact(next) {
    if (JSON.stringify(next.faults) !== JSON.stringify(settings.faults)) {
      hook = ruledFaults(next.faults);
    }
    settings = next;
    const { policies, readOnly, database } = next;
    handler?.disturb({ policies, readOnly, database });
    return Promise.resolve();
  },
  log,
});
const { faults: _, rest: tables, policies, readOnly, database, ...terms } = settings;
const directory = entry.file === undefined ? undefined : join(dirname(entry.file), 'data');
const opened = await openSupabaseHandler(
  readSupabaseOptions({
    ...terms,
    policies,
    ...(directory !== undefined && { directory }),
    faults: (call) => hook(call),
  }),
  (exchange) => log.record(exchange),
);
opened.disturb({ policies, readOnly, database });
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
  if (control.answers(incoming, outgoing)) return;
  if (rest?.answers(incoming, outgoing) !== true) opened.serve(incoming, outgoing);
});
serve('supabase', server, entry);
