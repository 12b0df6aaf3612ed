import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Random } from '@holdfast/foundation';
import { type HttpResponse, sendResponse } from '../serving/http-listener.ts';
import { portalDistricts, randomOf } from './districts.ts';
import type { PortalSettings } from './settings.ts';

/** The faults of the portal, each as portals have shown it. */
export type PortalFault =
  | 'unavailable'
  | 'throttled'
  | 'error-document'
  | 'html'
  | 'truncated'
  | 'reset'
  | 'hung'
  | 'empty-page';

/** Those that are drawn by `faultRate`; `hung` and `empty-page` only happen when they are set for a path. */
const drawn: readonly PortalFault[] = [
  'unavailable',
  'throttled',
  'error-document',
  'html',
  'truncated',
  'reset',
];

/** What the portal has done, read at any time. */
export interface PortalStats {
  readonly requests: number;
  readonly injected: Readonly<Partial<Record<PortalFault, number>>>;
}

const PATH = /^\/arcgis\/rest\/services\/([A-Z]{2})\/([a-z_]+)\/query$/;

/** A portal with the REST API of ArcGIS: `/arcgis/rest/services/WI/congressional/query`. */
export class Portal {
  #settings: PortalSettings;
  readonly #fixed = new Map<string, PortalFault>();
  readonly #draws = new Map<string, Random>();
  readonly #injected: Partial<Record<PortalFault, number>> = {};
  #requests = 0;

  constructor(settings: PortalSettings) {
    this.#settings = settings;
  }

  apply(settings: PortalSettings): void {
    this.#settings = settings;
  }

  /** Sets the fault of each request for a layer, such as `WI/congressional`, or takes it away. */
  setFault(layer: string, fault: PortalFault | undefined): void {
    if (fault === undefined) this.#fixed.delete(layer);
    else this.#fixed.set(layer, fault);
  }

  getStats(): PortalStats {
    return { requests: this.#requests, injected: { ...this.#injected } };
  }

  serve(message: IncomingMessage, response: ServerResponse): void {
    // A connection that fails needs no report: its client sees it too.
    this.#handle(message, response).catch(() => void response.destroy());
  }

  close(): void {
    this.#fixed.clear();
  }

  async #handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '/', 'http://portal');
    const [, state, layer] = PATH.exec(url.pathname) ?? [];
    if (state === undefined || layer === undefined) {
      await sendResponse(errorDocument(404, 'Service not found'), message, response);
      return;
    }
    this.#requests += 1;
    const answer = this.#answer(state, layer, url.searchParams);
    const fault = this.#faultOf(`${state}/${layer}`);
    if (fault === undefined) {
      await sendResponse(answer, message, response);
      return;
    }
    this.#injected[fault] = (this.#injected[fault] ?? 0) + 1;
    const faulty = this.#faulty(fault, answer);
    if (faulty !== undefined) await sendResponse(faulty, message, response);
    else if (fault === 'reset') message.socket.resetAndDestroy();
  }

  /** Drawn by layer, so that what others ask does not change it. */
  #faultOf(layer: string): PortalFault | undefined {
    const fixed = this.#fixed.get(layer);
    if (fixed !== undefined) return fixed;
    const { seed, faultRate } = this.#settings;
    const random = this.#draws.get(layer) ?? randomOf(seed, layer);
    this.#draws.set(layer, random);
    if (random() >= faultRate) return undefined;
    return drawn[Math.floor(random() * drawn.length)];
  }

  /** `undefined` for a request that gets no answer. */
  #faulty(fault: PortalFault, answer: HttpResponse): HttpResponse | undefined {
    const { retryAfterS } = this.#settings;
    const headers = { 'retry-after': String(retryAfterS) };
    switch (fault) {
      case 'unavailable':
        return { status: 503, body: 'Service Unavailable' };
      case 'throttled':
        return { status: 429, headers, body: 'Too Many Requests' };
      case 'error-document':
        return errorDocument(500, 'Error performing query operation');
      case 'html':
        return { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Maintenance' };
      case 'empty-page':
        return json({ type: 'FeatureCollection', features: [], exceededTransferLimit: true });
      case 'truncated': {
        const whole = typeof answer.body === 'string' ? answer.body : '';
        return { ...answer, body: whole.slice(0, Math.floor(whole.length / 2)) };
      }
      case 'reset':
      case 'hung':
    }
    return undefined;
  }

  #answer(state: string, layer: string, query: URLSearchParams): HttpResponse {
    const { districts: count, seed, broken, maxRecordCount } = this.#settings;
    const all = portalDistricts(state, layer, { count, seed, broken });
    if (query.get('returnCountOnly') === 'true') return json({ count: all.length });
    const offset = Number(query.get('resultOffset') ?? 0);
    const wanted = Number(query.get('resultRecordCount') ?? maxRecordCount);
    if (!Number.isInteger(offset) || offset < 0) return errorDocument(400, 'Invalid resultOffset');
    const end = offset + Math.min(wanted, maxRecordCount);
    const properties = end < all.length ? { properties: { exceededTransferLimit: true } } : {};
    return json({ type: 'FeatureCollection', ...properties, features: all.slice(offset, end) });
  }
}

/** ArcGIS sends errors with the status 200. */
function errorDocument(code: number, message: string): HttpResponse {
  return json({ error: { code, message, details: [] } });
}

function json(body: unknown): HttpResponse {
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}
