import type { OptionRule } from '@holdfast/foundation';
import { FaultUnsupportedError } from '../../errors.ts';
import type { ServerHandle } from '../../handle/handle.ts';
import { imageOf } from '../../images.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Environment } from '../../system/executable.ts';
import { type ServerTopology, composeServices, singleServer } from '../../topology/topology.ts';
import { type ControlClient, createControlClient, putSettings } from './control-client.ts';
import { type NodeServer, locateNode, nodeServer } from './node-server.ts';

/** A server of `@holdfast/emulators` with what its handle adds to that of every server. */
interface EmulatedServer<Settings, Api extends object>
  extends NodeServer, Partial<Pick<ServerTopology<unknown>, 'docker' | 'compose' | 'locate'>> {
  readonly settings: Settings;
  /** Its clients speak UDP. */
  readonly isDatagram?: true;
  /** Configures one that compose has started, and resolves with the settings in force. */
  configureExisting?(endpoint: Endpoint, signal: AbortSignal): Promise<Settings>;
  api(handle: ServerHandle, client: ControlClient<Settings>): Api;
}

/** By default it runs in the image of Node, and as the service of its name in compose. */
export function emulatedServer<Settings, Api extends object>(
  server: EmulatedServer<Settings, Api>,
  env: Environment,
): ServerTopology<ServerHandle & Api> {
  const { name, isDatagram } = server;
  let settingsInForce = server.settings;
  const topology = singleServer({
    docker: server.docker ?? { available: true, images: [imageOf('node', env)] },
    compose: server.compose ?? composeServices([name]),
    locate: server.locate ?? locateNode,
    serverSpec(endpoint) {
      const spec = nodeServer(server, endpoint, env);
      return Object.assign(spec, {
        async configureExisting(at: Endpoint, signal: AbortSignal) {
          if (server.configureExisting === undefined) return;
          settingsInForce = await server.configureExisting(at, signal);
        },
      });
    },
  });
  return {
    ...topology,
    ...(isDatagram && { isDatagram }),
    toHandle(handles, context) {
      const handle = topology.toHandle(handles, context);
      const client = createControlClient(handle, settingsInForce, context);
      return Object.assign(handle, server.api(handle, client));
    },
  };
}

/** Gives a server that compose has started the settings of the stage. */
export function replaceSettings<Settings>(
  name: string,
  settings: Settings,
): (endpoint: Endpoint, signal: AbortSignal) => Promise<Settings> {
  return async (endpoint, signal) => {
    await putSettings(name, endpoint, settings, signal);
    return settings;
  };
}

/** The option of an emulated server: an object, or `true` for its defaults. */
export function emulatedRule<T>(
  parse: (owner: string, value: unknown, field: string) => T,
): OptionRule<T> {
  return {
    permitted: 'true or an object',
    parse: (value, field, owner) => parse(owner, value === true ? {} : value, field),
  };
}

/** The part of a handle that reads the requests of its server. */
export interface RequestRecords<Entry> {
  /** What it was asked, the newest 10 000 requests. */
  requests(): Promise<readonly Entry[]>;
  /** Forgets what it was asked so far. */
  forgetRequests(): Promise<void>;
}

export function requestRecords<Entry>(client: ControlClient<unknown>): RequestRecords<Entry> {
  return {
    requests: () => client.readRecords('requests'),
    forgetRequests: () => client.clearRecords('forgetRequests'),
  };
}

/** The control verbs of a handle whose server is not an emulator. */
export function unsupportedControls(
  name: string,
  reason: string,
  remedy: string,
): RequestRecords<never> & { setFaults(): Promise<never> } {
  const unsupported = (attempted: string) => (): Promise<never> =>
    Promise.reject(new FaultUnsupportedError(name, attempted, reason, remedy));
  return {
    setFaults: unsupported('set its faults'),
    requests: unsupported('read its requests'),
    forgetRequests: unsupported('forget its requests'),
  };
}
