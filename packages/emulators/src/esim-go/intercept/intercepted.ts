import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  objectWith,
  parseOptions,
  sleep,
  systemClock,
} from '@holdfast/foundation';
import type { EsimGoResponse } from '../api/responses.ts';
import type { EsimGoOptions } from '../api/options.ts';
import { type EsimGoControls, createControlledApi } from '../controls.ts';

export interface EsimGoInterceptOptions extends EsimGoOptions {
  /** What clients are configured with. Default `https://api.esim-go.com/v2.5`. */
  baseUrl?: string;
  /** The clock of delays and of the rate limit. */
  clock?: Clock;
}

/** The API behind requests that are intercepted before they reach a network. */
interface InterceptedApi {
  readonly controls: EsimGoControls;
  readonly baseUrl: string;
  readonly origin: string;
  /** Waits for the delay of the response, and while it is silent. Rejects when the client gives up. */
  respond(request: Request): Promise<EsimGoResponse>;
}

const baseUrlRule: OptionRule<string> = {
  permitted: 'a URL of http or https',
  parse(value, field, owner) {
    if (typeof value === 'string' && /^https?:/.test(value) && URL.canParse(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => 'https://api.esim-go.com/v2.5',
};
const shape = {
  baseUrl: baseUrlRule,
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError of `owner` */
export function createInterceptedApi(
  owner: string,
  options: EsimGoInterceptOptions,
): InterceptedApi {
  const { baseUrl: givenUrl, clock: givenClock, ...apiOptions } = options;
  const { baseUrl, clock } = parseOptions(owner, shape, { baseUrl: givenUrl, clock: givenClock });
  const { api, controls } = createControlledApi(owner, apiOptions, clock);
  return {
    controls,
    baseUrl,
    origin: new URL(baseUrl).origin,
    async respond({ method, url, headers, signal }) {
      const { pathname, search } = new URL(url);
      const apiKey = headers.get('x-api-key') ?? undefined;
      const path = pathname + search;
      const response = api.respond({ method, path, apiKey, address: 'intercepted' });
      try {
        if (response.delayMs > 0) await sleep(clock, response.delayMs, signal);
        if (response.delivery === 'silent') await aborted(signal);
        return response.delivery === 'cut' ? withLength(response) : response;
      } finally {
        api.settle();
      }
    },
  };
}

/** Rejects with the signal's reason as soon as it aborts. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** With a length that the body does not reach, without which an intercepted body that is cut seems whole. */
function withLength(response: EsimGoResponse): EsimGoResponse {
  const body = [...response.body];
  const bytes = Buffer.byteLength(body.join(''));
  return { ...response, body, headers: { ...response.headers, 'content-length': `${2 * bytes}` } };
}

/** What a client gets when the connection is reset. */
export function connectionReset(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
}

/** The body as bytes, and the failure of the connection where it is cut. */
export function* bodyBytes(pieces: EsimGoResponse['body'], isCut: boolean): Generator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
  if (isCut) throw connectionReset();
}
