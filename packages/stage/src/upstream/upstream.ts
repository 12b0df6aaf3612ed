import type { Rule } from '@holdfast/resilience';
import { type Ensemble, member, soloist } from '../ensemble.ts';
import { imageOf } from '../images.ts';
import { locateNode, nodeServer } from '../program/node-server.ts';
import { askControl, steer } from '../program/steering.ts';
import type { Environment } from '../server-kind.ts';
import type { ServerHandle } from '../stage.ts';
import type { UpstreamRequest } from './exchange.ts';
import {
  type UpstreamFaults,
  type UpstreamRoute,
  type UpstreamSettings,
  readUpstreamSettings,
} from './settings.ts';

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
  disturb(faults: UpstreamFaults): Promise<void>;
  /** What it was asked, the newest 10 000 requests; not those for `/health`. */
  requests(): Promise<readonly UpstreamRequest[]>;
  /** Forgets what it was asked so far. */
  forgetRequests(): Promise<void>;
}

/** `true` stands for one without routes. */
export const upstreamRule: Rule<UpstreamSettings> = {
  permitted: 'true or an object',
  accepts: (value, field, owner) =>
    readUpstreamSettings(owner, value === true ? {} : value, process.env, field),
};

export function upstreamEnsemble(settings: UpstreamSettings, env: Environment): Ensemble<Upstream> {
  const isAsItComes = JSON.stringify(settings) === JSON.stringify(asItComes(env));
  let inForce = settings;
  const solo = soloist({
    compose: { stands: true, services: ['upstream'] },
    docker: { stands: true, images: [imageOf('node', env)] },
    locate: locateNode,
    cast: (address) =>
      nodeServer(
        {
          name: 'upstream',
          main: 'upstream/main',
          settings,
          network: 'bridge',
          url: ({ host, port }) => `http://${host}:${port}`,
          async probe(at, signal) {
            await askControl(at, { method: 'GET', path: 'health' }, signal);
          },
        },
        address,
        env,
      ),
  });
  return {
    ...solo,
    async settle(handles, _context, signal) {
      // One that stood already, as compose holds it open, may have been told something else before.
      const { direct } = member(handles, 0);
      const path = 'settings';
      const { body } = isAsItComes
        ? await askControl(direct, { method: 'GET', path }, signal)
        : await askControl(direct, { method: 'PUT', path, body: JSON.stringify(settings) }, signal);
      inForce = readUpstreamSettings('upstream', JSON.parse(body), {});
    },
    present(handles, context) {
      const handle = solo.present(handles, context);
      const steering = steer(handle, inForce, context);
      return Object.assign(handle, {
        script: (routes: readonly UpstreamRoute[]) =>
          steering.change('script', (now) =>
            readUpstreamSettings('upstream.script', { ...now, routes }, {}),
          ),
        disturb: (faults: UpstreamFaults) =>
          steering.change('disturb', (now) =>
            readUpstreamSettings('upstream.disturb', { ...now, ...faults }, {}),
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
  return readUpstreamSettings('upstream', {}, env);
}

/** Both ends are this package's own, so the list is what the program wrote. */
function requestsIn(said: unknown): readonly UpstreamRequest[] {
  return Array.isArray(said) ? said : [];
}
