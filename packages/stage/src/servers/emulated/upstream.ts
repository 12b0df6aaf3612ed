import type { UpstreamFaults, UpstreamRequest, UpstreamRoute } from '@holdfast/emulators';
import { type UpstreamSettings, parseUpstreamSettings } from '@holdfast/emulators/programs';
import { environment, type OptionRule } from '@holdfast/foundation';
import type { ServerHandle } from '../../handle/handle.ts';
import type { Environment } from '../../system/executable.ts';
import type { ServerTopology } from '../../topology/topology.ts';
import { putSettings, sendControlRequest } from './control-client.ts';
import {
  emulatedRule,
  emulatedServer,
  type RequestRecords,
  requestRecords,
} from './emulated-server.ts';

/**
 * An HTTP server that answers as its script says; requests for `/health` are not recorded. Script and faults
 * survive a restart; the position in the script and the requests do not.
 */
export interface Upstream extends ServerHandle, RequestRecords<UpstreamRequest> {
  /**
   * Replaces all routes, and begins with their first answers.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  script(routes: readonly UpstreamRoute[]): Promise<void>;
  /**
   * Changes the given faults from the next request on.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  setFaults(faults: UpstreamFaults): Promise<void>;
}

/** `true`: an upstream without routes. */
export const upstreamRule: OptionRule<UpstreamSettings> = emulatedRule((owner, value, field) =>
  parseUpstreamSettings(owner, value, environment, field),
);

export function upstreamTopology(
  settings: UpstreamSettings,
  env: Environment,
): ServerTopology<Upstream> {
  const defaults = parseUpstreamSettings('upstream', {}, env);
  const isUnchanged = JSON.stringify(settings) === JSON.stringify(defaults);
  return emulatedServer(
    {
      name: 'upstream',
      program: 'http',
      settings,
      scheme: 'http',
      probe: (endpoint, signal) =>
        sendControlRequest(endpoint, { method: 'GET', path: 'health' }, signal),
      // Without options of the stage, the failures and delays in its own environment apply.
      async configureExisting(endpoint, signal) {
        const inForce = isUnchanged
          ? JSON.parse(
              (await sendControlRequest(endpoint, { method: 'GET', path: 'settings' }, signal))
                .body,
            )
          : await putSettings('upstream', endpoint, settings, signal);
        return parseUpstreamSettings('upstream', inForce, {});
      },
      api: (_handle, client) => ({
        script: (routes: readonly UpstreamRoute[]) =>
          client.change('script', (present) =>
            parseUpstreamSettings('upstream.script', { ...present, routes }, {}),
          ),
        setFaults: (faults: UpstreamFaults) =>
          client.change('setFaults', (present) =>
            parseUpstreamSettings('upstream.setFaults', { ...present, ...faults }, {}),
          ),
        ...requestRecords<UpstreamRequest>(client),
      }),
    },
    env,
  );
}
