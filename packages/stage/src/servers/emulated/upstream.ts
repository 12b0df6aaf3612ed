import type { OptionRule } from '@holdfast/foundation';
import { type ServerTopology, singleServer } from '../../topology/topology.ts';
import { imageOf } from '../../images.ts';
import { locateNode, nodeServer } from './emulated-server.ts';
import { sendControlRequest, createControlClient, putSettings } from './control-client.ts';
import type { Environment } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import type { UpstreamFaults, UpstreamRequest, UpstreamRoute } from '@holdfast/emulators';
import { type UpstreamSettings, parseUpstreamSettings } from '@holdfast/emulators/programs';

/**
 * An HTTP server that says what its script says. Script and faults outlast a restart; how far the script
 * has come, and what was asked, do not.
 */
export interface Upstream extends ServerHandle {
  /**
   * Replaces all routes, and begins with their first answers.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  script(routes: readonly UpstreamRoute[]): Promise<void>;
  /**
   * Changes what is given, from the next request on.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  setFaults(faults: UpstreamFaults): Promise<void>;
  /** What it was asked, the newest 10 000 requests; not those for `/health`. */
  requests(): Promise<readonly UpstreamRequest[]>;
  /** Forgets what it was asked so far. */
  forgetRequests(): Promise<void>;
}

/** `true` stands for one without routes. */
export const upstreamRule: OptionRule<UpstreamSettings> = {
  permitted: 'true or an object',
  parse: (value, field, owner) =>
    parseUpstreamSettings(owner, value === true ? {} : value, process.env, field),
};

export function upstreamTopology(
  settings: UpstreamSettings,
  env: Environment,
): ServerTopology<Upstream> {
  const isAsItComes = JSON.stringify(settings) === JSON.stringify(asItComes(env));
  let inForce = settings;
  const solo = singleServer({
    compose: { available: true, services: ['upstream'] },
    docker: { available: true, images: [imageOf('node', env)] },
    locate: locateNode,
    cast: (address) =>
      nodeServer(
        {
          name: 'upstream',
          program: 'http',
          settings,
          network: 'bridge',
          url: ({ host, port }) => `http://${host}:${port}`,
          async probe(at, signal) {
            await sendControlRequest(at, { method: 'GET', path: 'health' }, signal);
          },
          // What its environment says of failures and delays holds where the stage was asked for none.
          async adopt(at, signal) {
            const said = isAsItComes
              ? JSON.parse(
                  (await sendControlRequest(at, { method: 'GET', path: 'settings' }, signal)).body,
                )
              : await putSettings('upstream', at, settings, signal);
            inForce = parseUpstreamSettings('upstream', said, {});
          },
        },
        address,
        env,
      ),
  });
  return {
    ...solo,
    toHandle(handles, context) {
      const handle = solo.toHandle(handles, context);
      const steering = createControlClient(handle, inForce, context);
      return Object.assign(handle, {
        script: (routes: readonly UpstreamRoute[]) =>
          steering.change('script', (now) =>
            parseUpstreamSettings('upstream.script', { ...now, routes }, {}),
          ),
        setFaults: (faults: UpstreamFaults) =>
          steering.change('setFaults', (now) =>
            parseUpstreamSettings('upstream.setFaults', { ...now, ...faults }, {}),
          ),
        async requests() {
          return requestsIn(await steering.readLog('requests'));
        },
        forgetRequests: () => steering.clearLog('forgetRequests'),
      });
    },
  };
}

/** What an upstream does that is told nothing. */
function asItComes(env: Environment): UpstreamSettings {
  return parseUpstreamSettings('upstream', {}, env);
}

/** Both ends are this package's own, so the list is what the program wrote. */
function requestsIn(said: unknown): readonly UpstreamRequest[] {
  return Array.isArray(said) ? said : [];
}
