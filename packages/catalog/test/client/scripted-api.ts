import type { Clock } from '@holdfast/foundation';
import { sleep } from '@holdfast/foundation';
import type { CatalogFetch } from '@holdfast/catalog';

/** A row as it is sent; nothing of it is checked. */
export type Row = Record<string, unknown>;

export interface ScriptedCall {
  readonly path: string;
  readonly group: string;
  readonly page: number;
  readonly perPage: number;
  /** From 0, over all requests. */
  readonly number: number;
  readonly signal: AbortSignal;
}

interface ScriptedApiOptions {
  readonly clock: Clock;
  readonly groups?: Record<string, unknown[]>;
  readonly maxPerPage?: number;
  readonly latencyMs?: (call: ScriptedCall) => number;
  readonly limit?: { requests: number; windowMs: number; cost: number; phaseMs: number };
  /** Added to the clock of the server. */
  readonly skewMs?: number;
  readonly hasDate?: boolean;
  /** Answers instead; called when the request arrives. */
  readonly instead?: (call: ScriptedCall) => Response | Promise<Response | undefined> | undefined;
}

/** A valid row. */
export function row(number: number, fields: Row = {}): Row {
  return {
    name: `esim_${String(number).padStart(6, '0')}`,
    description: `eSIM, ${number} GB`,
    groups: ['g'],
    countries: [{ name: 'Germany', region: 'Europe', iso: 'DE' }],
    dataAmount: 1_000 * (number + 1),
    duration: 7,
    unlimited: false,
    price: 1 + number / 100,
    ...fields,
  };
}

export function rows(count: number, from = 0, fields: Row = {}): unknown[] {
  return Array.from({ length: count }, (_, at) => row(from + at, fields));
}

/** An API in memory with a limit in fixed windows, on a clock that a test owns. */
export class ScriptedApi {
  readonly calls: ScriptedCall[] = [];
  readonly groups: Record<string, unknown[]>;
  readonly tokens = new Map<number, number>();
  refused = 0;
  inFlight = 0;
  peakInFlight = 0;
  instead: ScriptedApiOptions['instead'];
  readonly #options: ScriptedApiOptions;

  constructor(options: ScriptedApiOptions) {
    this.#options = options;
    this.groups = options.groups ?? { g: rows(250) };
    this.instead = options.instead;
  }

  readonly fetch: CatalogFetch = async (url, { signal }) => {
    const { pathname, searchParams } = new URL(url);
    const call: ScriptedCall = {
      path: pathname,
      group: searchParams.get('group') ?? '',
      page: Number(searchParams.get('page') ?? 1),
      perPage: Number(searchParams.get('perPage') ?? 50),
      number: this.calls.length,
      signal,
    };
    this.calls.push(call);
    this.inFlight += 1;
    this.peakInFlight = Math.max(this.peakInFlight, this.inFlight);
    try {
      const latencyMs = this.#options.latencyMs?.(call) ?? 0;
      await sleep(this.#options.clock, latencyMs / 2, signal);
      const response = await this.#respond(call);
      await sleep(this.#options.clock, latencyMs / 2, signal);
      return response;
    } finally {
      this.inFlight -= 1;
    }
  };

  /** Uses tokens of the current window, as another client of the same address. */
  take(tokens: number): boolean {
    const { limit } = this.#options;
    if (limit === undefined) return true;
    const used = this.tokens.get(this.#window) ?? 0;
    if (used + tokens > limit.requests) return false;
    this.tokens.set(this.#window, used + tokens);
    return true;
  }

  get #window(): number {
    const { limit, clock } = this.#options;
    return limit === undefined ? 0 : Math.floor((clock.now() + limit.phaseMs) / limit.windowMs);
  }

  async #respond(call: ScriptedCall): Promise<Response> {
    const { limit } = this.#options;
    const isAllowed = limit === undefined || this.take(limit.cost);
    const headers = this.#headers();
    if (!isAllowed) {
      this.refused += 1;
      headers['retry-after'] = '1';
      return Response.json({ message: 'Rate limit exceeded' }, { status: 429, headers });
    }
    const instead = await this.instead?.(call);
    if (instead !== undefined) return instead;
    if (call.path.endsWith('/organisation/groups')) {
      const groups = Object.keys(this.groups).map((name) => ({ name, desc: null }));
      return Response.json({ groups }, { headers });
    }
    return Response.json(this.page(call), { headers });
  }

  page({ group, page, perPage }: Pick<ScriptedCall, 'group' | 'page' | 'perPage'>): object {
    const size = Math.min(perPage, this.#options.maxPerPage ?? 100);
    const all = this.groups[group] ?? [];
    const bundles = page < 1 ? [] : all.slice((page - 1) * size, page * size);
    return {
      bundles,
      pageCount: Math.ceil(all.length / size),
      rows: all.length,
      pageSize: size,
    };
  }

  #headers(): Record<string, string> {
    const { limit, clock, skewMs = 0, hasDate = true } = this.#options;
    if (limit === undefined) return {};
    const used = this.tokens.get(this.#window) ?? 0;
    const leftMs = (this.#window + 1) * limit.windowMs - limit.phaseMs - clock.now();
    const nowMs = clock.epochMs() + skewMs;
    return {
      'X-Ratelimit-Limit': String(limit.requests),
      'X-Ratelimit-Remaining': String(Math.max(0, limit.requests - used)),
      'X-Ratelimit-Reset': new Date(nowMs + leftMs).toISOString(),
      'X-Ratelimit-Cost': String(limit.cost),
      ...(hasDate && { date: new Date(nowMs).toUTCString() }),
    };
  }
}
