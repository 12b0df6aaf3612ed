import { isNativeError } from 'node:util/types';
import type nock from 'nock';
import type { ChaosFaultInjector } from './chaos-fault-injector.ts';

/**
 * Lets an interceptor of nock answer with the injector's faults, drawn from the same seed as everything else
 * it is asked for. `persist()` of its scope is the caller's.
 * @param respond what the server answers without a fault.
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
      // A body that breaks off is the whole answer's failure: nock gives it at once or not at all.
      const body = Buffer.from(await response.arrayBuffer());
      return [response.status, body, Object.fromEntries(response.headers)];
    } catch (error) {
      // What `fetch` wraps is what the socket said, and nock's client wraps it again.
      throw isNativeError(error) && error.cause !== undefined ? error.cause : error;
    }
  });
}
