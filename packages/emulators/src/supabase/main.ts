import { join } from 'node:path';
import { openProgram, serve } from '../control/program.ts';
import { reuseWhileEqual } from '../control/reuse-while-equal.ts';
import { faultHookOf } from '../serving/fault-rules.ts';
import { createHttpServer } from '../serving/http-listener.ts';
import { supabaseKeys } from './client-keys.ts';
import {
  type SupabaseHandler,
  type SupabaseRequestRecord,
  openSupabaseHandler,
} from './handler.ts';
import { parseSupabaseOptions } from './options.ts';
import { openRest } from './rest.ts';
import { type SupabaseSettings, parseSupabaseSettings } from './settings.ts';

/** The Supabase program. Its objects are stored beside its settings, and survive a restart. */

const hookOf = reuseWhileEqual(faultHookOf);
let hook = hookOf([]);
let handler: SupabaseHandler | undefined;

const program = await openProgram<SupabaseSettings, SupabaseRequestRecord>({
  parse: (given) => parseSupabaseSettings('supabase', given ?? {}),
  apply({ faults, policies, readOnly, creates, database }) {
    hook = hookOf(faults);
    handler?.setFaults({ policies, readOnly, creates, database });
  },
});
const {
  faults: _,
  rest: tables,
  policies,
  readOnly,
  creates,
  database,
  ...options
} = program.settings;
const directory = program.directory && join(program.directory, 'data');
const opened = await openSupabaseHandler(
  parseSupabaseOptions({
    ...options,
    policies,
    ...(directory !== undefined && { directory }),
    faults: (call) => hook(call),
  }),
  (request) => program.log.record(request),
);
opened.setFaults({ policies, readOnly, creates, database });
handler = opened;
const rest =
  tables &&
  (await openRest(
    tables,
    supabaseKeys(options.jwtSecret),
    directory && join(directory, 'rest.sqlite'),
  ));
const server = createHttpServer((incoming, outgoing) => {
  if (program.handles(incoming, outgoing)) return;
  if (rest?.handles(incoming, outgoing) !== true) opened.serve(incoming, outgoing);
});
serve('supabase', server, program);
