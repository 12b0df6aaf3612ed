import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '@holdfast/foundation';
import { type ErrorFault, type FaultHook, type ServerCall, runWithFault } from './call-faults.ts';
import { type HttpResponse, sendResponse } from './http-listener.ts';

/** A request to a storage API and the status of its response. */
export interface RequestRecord extends ServerCall {
  /** 0 when the connection was reset instead. */
  readonly status: number;
  /** Bytes of the body that the server read, including its framing or form. */
  readonly receivedBytes: number;
}

export interface RequestStats {
  /** Requests by operation, including those that were rejected or had a fault injected. */
  readonly requests: Readonly<Record<string, number>>;
  /** Bytes of bodies that the server read, including their framing or forms. */
  readonly receivedBytes: number;
}

/** A parsed request. */
interface ParsedCall {
  readonly call: ServerCall;
  run(): Promise<HttpResponse>;
}

interface RequestHandlerDeps {
  readonly clock: Clock;
  readonly faults: FaultHook;
  readonly onRequest: (record: RequestRecord) => void;
  /**
   * Parses a request; a response is sent as it is, and not recorded.
   * @param onBytes to be called with the bytes of the body as they are read.
   */
  readonly parse: (
    message: IncomingMessage,
    onBytes: (bytes: number) => void,
  ) => ParsedCall | HttpResponse;
  readonly errorResponse: (error: unknown, message: IncomingMessage) => HttpResponse;
  readonly faultResponse: (fault: ErrorFault) => HttpResponse;
}

/** Handles the requests of a storage API: injects faults, counts, records and responds. */
export class RequestHandler {
  readonly #deps: RequestHandlerDeps;
  readonly #requests: Record<string, number> = {};
  #receivedBytes = 0;

  constructor(deps: RequestHandlerDeps) {
    this.#deps = deps;
  }

  serve(message: IncomingMessage, response: ServerResponse): void {
    // A connection that fails needs no report: its client sees it too.
    this.#handle(message, response).catch(() => void response.destroy());
  }

  getStats(): RequestStats {
    return { requests: { ...this.#requests }, receivedBytes: this.#receivedBytes };
  }

  async #handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, errorResponse } = this.#deps;
    response.setHeader('date', new Date(clock.epochMs()).toUTCString());
    const result = await this.#respond(message).catch((error: unknown) =>
      errorResponse(error, message),
    );
    if (result !== undefined) await sendResponse(result, message, response);
  }

  async #respond(message: IncomingMessage): Promise<HttpResponse | undefined> {
    const { clock, faults, onRequest, parse, errorResponse, faultResponse } = this.#deps;
    let receivedBytes = 0;
    const parsed = parse(message, (bytes) => {
      receivedBytes += bytes;
      this.#receivedBytes += bytes;
    });
    if (!('run' in parsed)) return parsed;
    const { call } = parsed;
    this.#requests[call.operation] = (this.#requests[call.operation] ?? 0) + 1;
    const run = (): Promise<HttpResponse> => parsed.run();
    const response = await runWithFault(faults(call), message, clock, run, faultResponse).catch(
      (error: unknown) => errorResponse(error, message),
    );
    onRequest({ ...call, status: response?.status ?? 0, receivedBytes });
    return response;
  }
}
