import { HttpResponse, type HttpHandler, type Path, http } from 'msw';
import type { ChaosFaultInjector } from './chaos-fault-injector.ts';

/**
 * Creates an msw handler with the injector's faults, drawn from the injector's seed. A failed connection is
 * `HttpResponse.error()`, the only one msw has.
 * @param respond returns the response without a fault.
 */
export function chaosHandler(
  chaos: ChaosFaultInjector,
  path: Path,
  respond: (request: Request) => Response | Promise<Response>,
): HttpHandler {
  return http.all(path, async ({ request }) => {
    const faulty = chaos.fetch(async () => respond(request));
    try {
      return await faulty(request);
    } catch {
      return HttpResponse.error();
    }
  });
}
