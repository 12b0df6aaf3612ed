import type {
  EsimGoFaultRule,
  EsimGoOptions,
  EsimGoRequestRecord,
  EsimGoStats,
} from '@holdfast/emulators/esim-go';
import { type EsimGoSettings, parseEsimGoSettings } from '@holdfast/emulators/programs';
import { environment, type OptionRule } from '@holdfast/foundation';
import type { ServerHandle } from '../../handle/handle.ts';
import type { Environment } from '../../system/executable.ts';
import { type ServerTopology, composeServices } from '../../topology/topology.ts';
import { sendControlRequest } from './control-client.ts';
import {
  emulatedRule,
  emulatedServer,
  replaceSettings,
  type RequestRecords,
  requestRecords,
} from './emulated-server.ts';

/**
 * The API of eSIM Go below `<url>/v2.5`. Options and faults survive a restart; what faults have counted, what has
 * drifted, and the requests do not.
 */
export interface EsimGo extends ServerHandle, RequestRecords<EsimGoRequestRecord> {
  readonly apiKey: string;
  /**
   * Changes the given options from the next request on, all but the key.
   * @throws InvalidOptionError; StageStateError while it does not run; StageControlError
   */
  change(options: Omit<EsimGoOptions, 'apiKey'>): Promise<void>;
  /**
   * Replaces all faults; an empty list heals.
   * @throws InvalidOptionError; StageStateError while it does not run; StageControlError
   */
  setFaults(faults: readonly EsimGoFaultRule[]): Promise<void>;
  /** Since it was started. @throws StageStateError while it does not run; StageControlError */
  stats(): Promise<EsimGoStats>;
}

/** `true`: as many bundles as the real API has. */
export const esimGoRule: OptionRule<EsimGoSettings> = emulatedRule((owner, value, field) =>
  parseEsimGoSettings(owner, value, environment, field),
);

export function esimGoTopology(settings: EsimGoSettings, env: Environment): ServerTopology<EsimGo> {
  return emulatedServer(
    {
      name: 'esim-go',
      program: 'esim-go',
      settings,
      scheme: 'http',
      compose: composeServices(['esim-go-mock']),
      probe: (endpoint, signal) =>
        sendControlRequest(endpoint, { method: 'GET', path: 'health' }, signal),
      configureExisting: replaceSettings('esim-go', settings),
      api: (_handle, client) => ({
        apiKey: settings.apiKey,
        change: (options: Omit<EsimGoOptions, 'apiKey'>) =>
          client.change('change', (present) =>
            parseEsimGoSettings('esimGo.change', {
              ...present,
              ...options,
              apiKey: present.apiKey,
            }),
          ),
        setFaults: (faults: readonly EsimGoFaultRule[]) =>
          client.change('setFaults', (present) =>
            parseEsimGoSettings('esimGo.setFaults', { ...present, faults }),
          ),
        // Both ends belong to this repository, so these are the statistics of the emulator.
        stats: async () => statsOf(await client.query('stats', 'stats/all')),
        ...requestRecords<EsimGoRequestRecord>(client),
      }),
    },
    env,
  );
}

function statsOf(value: unknown): EsimGoStats {
  if (isStats(value)) return value;
  throw new TypeError('the emulator has no statistics');
}

function isStats(value: unknown): value is EsimGoStats {
  return typeof value === 'object' && value !== null && 'rateLimit' in value;
}
