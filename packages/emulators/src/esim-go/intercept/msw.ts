/** The API of eSIM Go as handlers of the optional peer msw, over the same answers as the server. */
import { type HttpHandler, HttpResponse, http } from 'msw';
import type { EsimGoControls } from '../controls.ts';
import { type EsimGoInterceptOptions, bodyBytes, createInterceptedApi } from './intercepted.ts';

/** The API behind handlers of msw. */
export interface EsimGoMsw extends EsimGoControls {
  readonly baseUrl: string;
  /** For `setupServer(...handlers)`. */
  readonly handlers: readonly HttpHandler[];
}

/**
 * The API of eSIM Go as a handler of msw, without a server.
 * @throws InvalidOptionError
 */
export function createEsimGoMsw(options: EsimGoInterceptOptions = {}): EsimGoMsw {
  const intercepted = createInterceptedApi('createEsimGoMsw', options);
  const handler = http.all(`${intercepted.origin}/*`, async ({ request }) => {
    // Rejects when the client has given up, and needs no answer.
    const response = await intercepted.respond(request).catch(() => undefined);
    if (response === undefined || response.delivery === 'reset') return HttpResponse.error();
    const { status, headers } = response;
    const pieces = bodyBytes(response.body, response.delivery === 'cut');
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const { value, done } = pieces.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
    });
    return new HttpResponse(request.method === 'HEAD' ? null : body, { status, headers });
  });
  const { controls, baseUrl } = intercepted;
  return Object.assign(controls, { baseUrl, handlers: [handler] });
}
