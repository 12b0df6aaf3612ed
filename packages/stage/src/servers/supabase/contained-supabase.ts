import { type ServerTopology, composeServices, serverAt } from '../../topology/topology.ts';
import { FaultUnsupportedError } from '../../errors.ts';
import { imageOf } from '../../images.ts';
import { postgresNode } from '../postgres/node.ts';
import { probeHttp } from '../emulated/http-probe.ts';
import { locateNode, nodeServer } from '../emulated/emulated-server.ts';
import type { Environment } from '../../topology/server-spec.ts';
import { supabaseKeys } from '@holdfast/emulators';
import {
  parseSupabaseSettings,
  signToken,
  type SupabaseSettings,
} from '@holdfast/emulators/programs';
import type { Supabase } from './supabase.ts';
import { storageApi } from './storage-api.ts';

/** What the real servers are told as well; the rest is our own server's. */
const TOLD = new Set([
  'jwtSecret',
  'maxObjectBytes',
  'maxStandardUploadBytes',
  'resumableExpiryMs',
  'signedUploadExpiryMs',
]);

const WAY_OUT = `Break its database or its storage-api ('behind'), or use mode 'local'`;

/**
 * A Supabase of real servers in containers: a Postgres, storage-api on it, and before that a gateway, which is
 * what its clients are given.
 */
export function containedSupabase(
  settings: SupabaseSettings,
  env: Environment,
): ServerTopology<Supabase> {
  const { jwtSecret } = settings;
  const given = changedIn(settings);
  const untold = given.find((option) => !TOLD.has(option));
  const image = imageOf('postgres-15', env);
  const images = [image, imageOf('supabase-storage', env), imageOf('node', env)];
  return {
    size: 3,
    portOffsets: [],
    docker:
      untold === undefined
        ? { available: true, images }
        : {
            available: false,
            reason: `supabase.${untold} is told to a process of this machine only`,
          },
    compose: composeServices(
      ['postgres', 'supabase-storage', 'supabase-gateway'],
      given.map((option) => `supabase.${option}`),
    ),
    locate: locateNode,
    serverSpecs(places) {
      const [database, storage, gateway] = places;
      if (database === undefined || storage === undefined || gateway === undefined) return [];
      const node = { name: 'supabase.database', settings: {}, ground: noGround, image };
      const routes = { '/storage/v1': urlOf(storage.advertised) };
      return [
        [postgresNode({ ...node, at: database }, env)],
        [storageApi(storage, database.advertised, settings, env)],
        [
          nodeServer(
            {
              name: 'supabase',
              program: 'supabase-gateway',
              settings: routes,
              network: 'machine',
              url: urlOf,
              probe: (at, signal) => probeHttp(at, '/storage/v1/status', signal),
            },
            gateway,
            env,
          ),
        ],
      ];
    },
    awaitFormed: () => Promise.resolve(),
    toHandle(handles) {
      const handle = serverAt(handles, 2);
      const cannot = (attempted: string) => (): Promise<never> => {
        const reason = 'these are the real servers';
        return Promise.reject(new FaultUnsupportedError('supabase', attempted, reason, WAY_OUT));
      };
      return Object.assign(handle, {
        ...supabaseKeys(jwtSecret),
        storageUrl: `${handle.url}/storage/v1`,
        behind: { database: serverAt(handles, 0), storage: serverAt(handles, 1) },
        signToken: (claims: Readonly<Record<string, unknown>>) => signToken(claims, jwtSecret),
        setFaults: cannot('tell it what is wrong with it'),
        requests: cannot('read what it was asked'),
        forgetRequests: cannot('forget what it was asked'),
      });
    },
  };
}

function urlOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `http://${host}:${port}`;
}

function noGround(): never {
  throw new TypeError('the database of a Supabase stands in a container only');
}

/** Options that are not as they are without being given. */
function changedIn(settings: SupabaseSettings): string[] {
  const plain = new Map<string, unknown>(Object.entries(parseSupabaseSettings('openStage', {})));
  return Object.entries(settings)
    .filter(([option, value]) => JSON.stringify(value) !== JSON.stringify(plain.get(option)))
    .map(([option]) => option);
}
