/** The API of eSIM Go as a scope of the optional peer nock, over the same answers as the server. */
import { Readable } from 'node:stream';
import nock from 'nock';
import type { EsimGoControls } from '../controls.ts';
import {
  type EsimGoInterceptOptions,
  bodyBytes,
  connectionReset,
  createInterceptedApi,
} from './intercepted.ts';

/** The API behind a scope of nock. */
export interface EsimGoNock extends EsimGoControls {
  readonly baseUrl: string;
  /** Intercepts until `nock.cleanAll()`. */
  readonly scope: nock.Scope;
}

/** What nock 14 gives a reply as `this`. */
interface ReplyContext {
  readonly req?: { readonly headers: Readonly<Record<string, string>> };
}

/** Intercepts every GET of the API's origin. @throws InvalidOptionError */
export function createEsimGoNock(options: EsimGoInterceptOptions = {}): EsimGoNock {
  const intercepted = createInterceptedApi('createEsimGoNock', options);
  const { controls, baseUrl, origin } = intercepted;
  const scope = nock(origin)
    .persist()
    .get(/.*/)
    // nock 14 gives the path; nock 15 gives the request.
    .reply(async function reply(this: ReplyContext, asked: Request | string) {
      const request =
        typeof asked === 'string'
          ? new Request(new URL(asked, origin), { headers: this.req?.headers ?? {} })
          : asked;
      const response = await intercepted.respond(request);
      if (response.delivery === 'reset') throw connectionReset();
      const { status, headers, body, delivery } = response;
      return [status, Readable.from(bodyBytes(body, delivery === 'cut')), headers];
    });
  return Object.assign(controls, { baseUrl, scope });
}
