import { type Ensemble, composedAs, member } from '../../topology/topology.ts';
import { StageCannotError } from '../../errors.ts';
import { imageOf } from '../../images.ts';
import { postgresNode } from '../postgres/node.ts';
import { answersHttp } from '../emulated/http-probe.ts';
import { locateNode, nodeServer } from '../emulated/emulated-server.ts';
import type { Environment } from '../../topology/server-spec.ts';
import { supabaseKeys } from '@holdfast/emulators';
import {
  readSupabaseSettings,
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
): Ensemble<Supabase> {
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
        ? { stands: true, images }
        : { stands: false, why: `supabase.${untold} is told to a process of this machine only` },
    compose: composedAs(
      ['postgres', 'supabase-storage', 'supabase-gateway'],
      given.map((option) => `supabase.${option}`),
    ),
    locate: locateNode,
    cast(places) {
      const [database, storage, gateway] = places;
      if (database === undefined || storage === undefined || gateway === undefined) return [];
      const node = { name: 'supabase.database', settings: {}, ground: noGround, image };
      const routes = { '/storage/v1': urlOf(storage.announced) };
      return [
        [postgresNode({ ...node, at: database }, env)],
        [storageApi(storage, database.announced, settings, env)],
        [
          nodeServer(
            {
              name: 'supabase',
              program: 'supabase-gateway',
              settings: routes,
              network: 'machine',
              url: urlOf,
              probe: (at, signal) => answersHttp(at, '/storage/v1/status', signal),
            },
            gateway,
            env,
          ),
        ],
      ];
    },
    settle: () => Promise.resolve(),
    present(handles) {
      const handle = member(handles, 2);
      const cannot = (attempted: string) => (): Promise<never> => {
        const why = 'these are the real servers';
        return Promise.reject(new StageCannotError('supabase', attempted, why, WAY_OUT));
      };
      return Object.assign(handle, {
        ...supabaseKeys(jwtSecret),
        storageUrl: `${handle.url}/storage/v1`,
        behind: { database: member(handles, 0), storage: member(handles, 1) },
        signToken: (claims: Readonly<Record<string, unknown>>) => signToken(claims, jwtSecret),
        disturb: cannot('tell it what is wrong with it'),
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
  const plain = new Map<string, unknown>(Object.entries(readSupabaseSettings('openStage', {})));
  return Object.entries(settings)
    .filter(([option, value]) => JSON.stringify(value) !== JSON.stringify(plain.get(option)))
    .map(([option]) => option);
}
