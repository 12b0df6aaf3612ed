import { type SupabaseRequestRecord, supabaseKeys } from '@holdfast/emulators';
import {
  assertLiteIsInstalled,
  parseStageFaults,
  parseSupabaseSettings,
  signToken,
  type SupabaseSettings,
  type SupabaseStageFaults,
} from '@holdfast/emulators/programs';
import type { OptionRule } from '@holdfast/foundation';
import type { Environment } from '../../system/executable.ts';
import { type ServerTopology, localOnly } from '../../topology/topology.ts';
import { emulatedRule, emulatedServer, requestRecords } from '../emulated/emulated-server.ts';
import { probeHttp } from '../emulated/http-probe.ts';
import { locateNode } from '../emulated/node-server.ts';
import { containedSupabase } from './contained-supabase.ts';
import type { Supabase } from './supabase-handle.ts';

/** `true`: an empty Supabase. */
export const supabaseRule: OptionRule<SupabaseSettings> = emulatedRule(parseSupabaseSettings);

/** Other servers replace it in containers. */
const LOCAL_ONLY = localOnly('the emulated Supabase runs as a process of this machine only');

export function supabaseTopology(
  settings: SupabaseSettings,
  env: Environment,
): ServerTopology<Supabase> {
  const { jwtSecret, policies, readOnly, creates, database, faults, rest } = settings;
  const opening = { policies, readOnly, creates, database, faults };
  const emulated: ServerTopology<Supabase> = emulatedServer(
    {
      name: 'supabase',
      program: 'supabase',
      settings,
      scheme: 'http',
      docker: LOCAL_ONLY,
      compose: LOCAL_ONLY,
      async locate() {
        if (rest !== undefined) assertLiteIsInstalled();
        return locateNode();
      },
      probe: (endpoint, signal) => probeHttp(endpoint, '/storage/v1/status', signal),
      api: (handle, client) => ({
        ...supabaseKeys(jwtSecret),
        storageUrl: `${handle.url}/storage/v1`,
        signToken: (claims: Readonly<Record<string, unknown>>) => signToken(claims, jwtSecret),
        setFaults: (given: SupabaseStageFaults) =>
          client.change('setFaults', (present) => ({
            ...present,
            ...parseStageFaults('supabase.setFaults', { ...opening, ...given }),
          })),
        ...requestRecords<SupabaseRequestRecord>(client),
      }),
    },
    env,
  );
  return { ...emulated, containerVariant: containedSupabase(settings, env) };
}
