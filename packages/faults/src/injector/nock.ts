import { isNativeError } from 'node:util/types';
import type nock from 'nock';
import type { ChaosFaultInjector } from './chaos-fault-injector.ts';

/**
 * Adds the injector's faults, drawn from its seed, to a nock interceptor. Calling `persist()` on its scope is left to
 * the caller.
 * @param respond returns the response without a fault.
 */
export function chaosReply(
  chaos: ChaosFaultInjector,
  interceptor: nock.Interceptor,
  respond: (request: Request) => Response | Promise<Response>,
): nock.Scope {
  return interceptor.reply(async (request: Request): Promise<nock.ReplyFnResult> => {
    const faulty = chaos.fetch(async () => respond(request));
    try {
      const response = await faulty(request);
      // nock sends a body at once or not at all, so a body that breaks off fails the whole response.
      const body = Buffer.from(await response.arrayBuffer());
      return [response.status, body, Object.fromEntries(response.headers)];
    } catch (error) {
      // `fetch` wraps the socket's error, and nock's client wraps it again.
      throw isNativeError(error) && error.cause !== undefined ? error.cause : error;
    }
  });
}
