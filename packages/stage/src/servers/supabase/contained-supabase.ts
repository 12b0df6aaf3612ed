import { supabaseKeys } from '@holdfast/emulators';
import {
  parseSupabaseSettings,
  signToken,
  type SupabaseSettings,
} from '@holdfast/emulators/programs';
import { imageOf } from '../../images.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Environment } from '../../system/executable.ts';
import {
  type ServerTopology,
  changedOptions,
  composeServices,
  localOnly,
  serverAt,
} from '../../topology/topology.ts';
import { unsupportedControls } from '../emulated/emulated-server.ts';
import { probeHttp } from '../emulated/http-probe.ts';
import { locateNode, nodeServer } from '../emulated/node-server.ts';
import { postgresNode } from '../postgres/node.ts';
import { storageApi, urlOf } from './storage-api.ts';
import type { Supabase } from './supabase-handle.ts';

/** The options that the real servers support; the others configure the emulated server alone. */
const SUPPORTED_OPTIONS = new Set([
  'jwtSecret',
  'maxObjectBytes',
  'maxStandardUploadBytes',
  'resumableExpiryMs',
  'signedUploadExpiryMs',
]);

const REMEDY = `Break its database or its storage-api ('behind'), or use mode 'local'`;

/** A Supabase of real servers in containers: a Postgres, storage-api, and a gateway for its clients. */
export function containedSupabase(
  settings: SupabaseSettings,
  env: Environment,
): ServerTopology<Supabase> {
  const { jwtSecret } = settings;
  const changed = changedOptions(settings, parseSupabaseSettings('openStage', {}));
  const unsupported = changed.find((option) => !SUPPORTED_OPTIONS.has(option));
  const image = imageOf('postgres-15', env);
  const images = [image, imageOf('supabase-storage', env), imageOf('node', env)];
  return {
    size: 3,
    portOffsets: [],
    docker:
      unsupported === undefined
        ? { available: true, images }
        : localOnly(`supabase.${unsupported} configures a process of this machine only`),
    compose: composeServices(
      ['postgres', 'supabase-storage', 'supabase-gateway'],
      changed.map((option) => `supabase.${option}`),
      'storage',
    ),
    locate: locateNode,
    serverSpecs(endpoints) {
      const [database, storage, gateway] = endpoints;
      if (database === undefined || storage === undefined || gateway === undefined) return [];
      const node = { name: 'supabase.database', settings: {}, installation, image };
      const gatewayServer = {
        name: 'supabase',
        program: 'supabase-gateway' as const,
        settings: { '/storage/v1': urlOf(storage.advertised) },
        network: 'machine' as const,
        scheme: 'http',
        probe: (at: Endpoint, signal: AbortSignal) => probeHttp(at, '/storage/v1/status', signal),
      };
      return [
        [postgresNode({ ...node, listen: database }, env)],
        [storageApi(storage, database.advertised, settings, env)],
        [nodeServer(gatewayServer, gateway, env)],
      ];
    },
    awaitFormed: () => Promise.resolve(),
    toHandle(handles) {
      const handle = serverAt(handles, 2);
      return Object.assign(handle, {
        ...supabaseKeys(jwtSecret),
        storageUrl: `${handle.url}/storage/v1`,
        behind: { database: serverAt(handles, 0), storage: serverAt(handles, 1) },
        signToken: (claims: Readonly<Record<string, unknown>>) => signToken(claims, jwtSecret),
        ...unsupportedControls('supabase', 'these are the real servers', REMEDY),
      });
    },
  };
}

function installation(): never {
  throw new TypeError('the database of a Supabase runs in a container only');
}
