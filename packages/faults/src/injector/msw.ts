import { HttpResponse, type HttpHandler, type Path, http } from 'msw';
import type { ChaosFaultInjector } from './chaos-fault-injector.ts';

/**
 * A handler for msw whose answers meet the injector's faults, drawn from the same seed as everything else it
 * is asked for. A connection that fails is `HttpResponse.error()`: msw has no other, whatever the code was.
 * @param respond what the server answers without a fault.
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
