import type { OptionRule } from '@holdfast/foundation';
import { type ServerTopology, singleServer } from '../../topology/topology.ts';
import { locateNode, nodeServer } from '../emulated/emulated-server.ts';
import { createControlClient } from '../emulated/control-client.ts';
import { probeHttp } from '../emulated/http-probe.ts';
import type { Environment } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import { type SupabaseRequestRecord, type SupabaseKeys, supabaseKeys } from '@holdfast/emulators';
import {
  assertLiteIsInstalled,
  parseStageFaults,
  parseSupabaseSettings,
  signToken,
  type SupabaseSettings,
  type SupabaseStageFaults,
} from '@holdfast/emulators/programs';
import { containedSupabase } from './contained-supabase.ts';

/**
 * A Supabase with its Storage and, with `rest`, PostgREST; `url` is what `createClient` takes. Objects,
 * unfinished uploads and what is wrong with it outlast a restart; how often a fault has struck, and what was
 * asked, do not. In Docker and compose it is the gateway of the real servers, which stand `behind` it.
 */
export interface Supabase extends ServerHandle, SupabaseKeys {
  /** Where the Storage API begins. */
  readonly storageUrl: string;
  /** The real servers behind its gateway; absent where it is this package's own. */
  readonly behind?: { readonly database: ServerHandle; readonly storage: ServerHandle };
  /** Signs a token with the server's secret, such as `{ role: 'authenticated', sub, exp }`. */
  signToken(claims: Readonly<Record<string, unknown>>): string;
  /**
   * Changes what is wrong with it; what is not named is as at the opening, and `{}` heals.
   * @throws InvalidOptionError; StageStateError while it does not run; FaultUnsupportedError where it is not this
   * package's own, here and below
   */
  setFaults(disturbances: SupabaseStageFaults): Promise<void>;
  /** What it was asked, the newest 10 000 requests. */
  requests(): Promise<readonly SupabaseRequestRecord[]>;
  /** Forgets what it was asked so far. */
  forgetRequests(): Promise<void>;
}

/** `true` stands for one with nothing in it. */
export const supabaseRule: OptionRule<SupabaseSettings> = {
  permitted: 'true or an object',
  parse: (value, field, owner) => parseSupabaseSettings(owner, value === true ? {} : value, field),
};

const NOT_CONTAINED = {
  available: false,
  reason: 'our own Supabase is a process of this machine only',
} as const;

export function supabaseTopology(
  settings: SupabaseSettings,
  env: Environment,
): ServerTopology<Supabase> {
  const { jwtSecret, policies, readOnly, database, faults, rest } = settings;
  const solo = singleServer({
    // In containers other servers stand in its place.
    docker: NOT_CONTAINED,
    compose: NOT_CONTAINED,
    locate() {
      if (rest !== undefined) assertLiteIsInstalled();
      return locateNode();
    },
    cast: (address) =>
      nodeServer(
        {
          name: 'supabase',
          program: 'supabase',
          settings,
          network: 'bridge',
          url: ({ host, port }) => `http://${host}:${port}`,
          probe: (at, signal) => probeHttp(at, '/storage/v1/status', signal),
        },
        address,
        env,
      ),
  });
  return {
    ...solo,
    containerVariant: containedSupabase(settings, env),
    toHandle(handles, context) {
      const handle = solo.toHandle(handles, context);
      const steering = createControlClient(handle, settings, context);
      return Object.assign(handle, {
        ...supabaseKeys(jwtSecret),
        storageUrl: `${handle.url}/storage/v1`,
        signToken: (claims: Readonly<Record<string, unknown>>) => signToken(claims, jwtSecret),
        setFaults(given: SupabaseStageFaults) {
          const opening = { policies, readOnly, database, faults };
          return steering.change('setFaults', (now) => ({
            ...now,
            ...parseStageFaults('supabase.setFaults', { ...opening, ...given }),
          }));
        },
        async requests() {
          return requestsIn(await steering.readLog('requests'));
        },
        forgetRequests: () => steering.clearLog('forgetRequests'),
      });
    },
  };
}

/** Both ends are this package's own, so the list is what the program wrote. */
function requestsIn(said: unknown): readonly SupabaseRequestRecord[] {
  return Array.isArray(said) ? said : [];
}
