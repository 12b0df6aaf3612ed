import { type Clock, integer, oneOf } from '@holdfast/foundation';
import { createRequestLog } from '../control/request-log.ts';
import { EsimGoApi, type EsimGoRequestRecord, type EsimGoStats } from './api/esim-go-api.ts';
import type { EsimGoFaultHook, EsimGoFaultRule } from './api/faults.ts';
import { type EsimGoOptions, parseEsimGoSettings } from './api/options.ts';

/** How a test controls the API in its own process, whatever carries it. */
export interface EsimGoControls {
  readonly apiKey: string;
  /** Changes the given options from the next request on. @throws InvalidOptionError */
  change(options: EsimGoOptions): void;
  /** Replaces all faults, and counts anew; an empty list heals. @throws InvalidOptionError */
  setFaults(faults: readonly EsimGoFaultRule[] | EsimGoFaultHook): void;
  /**
   * Adds rows to a group, or removes them with a negative number; the newest come and go first.
   * @throws InvalidOptionError for a group that is not there
   */
  drift(group: string, rows: number): void;
  getStats(): EsimGoStats;
  /** The newest 10 000 requests, in order of arrival. */
  requests(): readonly EsimGoRequestRecord[];
}

const driftedRows = integer({ min: -10_000_000, max: 10_000_000 });

/** An API and its controls. @throws InvalidOptionError of `owner` */
export function createControlledApi(
  owner: string,
  options: EsimGoOptions,
  clock: Clock,
): { readonly api: EsimGoApi; readonly controls: EsimGoControls } {
  const log = createRequestLog<EsimGoRequestRecord>();
  const api = new EsimGoApi(parseEsimGoSettings(owner, options), clock, (it) => log.record(it));
  const controls: EsimGoControls = {
    get apiKey() {
      return api.settings.apiKey;
    },
    change(given) {
      api.apply(parseEsimGoSettings('change', { ...api.settings, ...given }));
    },
    setFaults(faults) {
      const rules = typeof faults === 'function' ? [] : faults;
      // Twice, because rules that are equal to those in force would keep their counts.
      for (const each of [[], rules]) {
        api.apply(parseEsimGoSettings('setFaults', { ...api.settings, faults: each }));
      }
      if (typeof faults === 'function') api.injectBy(faults);
    },
    drift(group, rows) {
      const known = oneOf(api.groups).parse(group, 'group', 'drift');
      api.drift(known, driftedRows.parse(rows, 'rows', 'drift'));
    },
    getStats: () => api.getStats(),
    requests: () => log.read(),
  };
  return { api, controls };
}
