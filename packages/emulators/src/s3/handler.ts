import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorFault } from '../serving/call-faults.ts';
import type { HttpResponse } from '../serving/http-listener.ts';
import {
  RequestHandler,
  type RequestRecord,
  type RequestStats,
} from '../serving/request-handler.ts';
import type { ResolvedS3ServerOptions } from './options.ts';
import { S3Error } from './wire/error.ts';
import { parseS3Request } from './wire/request.ts';
import { operationOf, runOperation } from './operations/routes.ts';
import { verifySignature } from './wire/signature.ts';
import { withQuirks } from './quirks.ts';
import { openStore } from './store.ts';
import { writePlainXml } from './wire/xml.ts';

/** What an S3 server holds and has been asked. */
export interface S3ServerStats extends RequestStats {
  readonly objects: number;
  /** Bytes of all objects and parts. */
  readonly storedBytes: number;
}

/** One request and the status of its response. */
export type S3RequestRecord = RequestRecord;

/** An S3 server without its port. */
interface S3Handler {
  serve(message: IncomingMessage, response: ServerResponse): void;
  getStats(): S3ServerStats;
  close(): void;
}

/**
 * The requests of S3 without a server: what `createS3Server` listens with.
 * @param onRequest called with each request when its response is known.
 */
export async function openS3Handler(
  options: ResolvedS3ServerOptions,
  onRequest: (request: S3RequestRecord) => void,
): Promise<S3Handler> {
  const { clock, faults, accessKeyId, secretAccessKey, accounts } = options;
  const store = await openStore(options.directory);
  const secrets = new Map(accounts.map((each) => [each.accessKeyId, each.secretAccessKey]));
  secrets.set(accessKeyId, secretAccessKey);
  const verifier = {
    secretOf: (id: string) => secrets.get(id),
    nowMs: () => clock.epochMs(),
  };
  const handler = new RequestHandler({
    clock,
    faults,
    onRequest,
    parse(message, onBytes) {
      const request = parseS3Request(message, onBytes);
      const operation = operationOf(request);
      const { bucket, key } = request;
      return {
        call: { operation, bucket, key },
        async run() {
          const caller = verifySignature(request, verifier);
          const seen = withQuirks(request, options.quirks);
          return runOperation(operation, {
            request: seen,
            caller,
            verifier,
            store,
            limits: options,
            clock,
          });
        },
      };
    },
    errorResponse: (error) =>
      error instanceof S3Error
        ? xmlError(error.status, error.reason, error.message)
        : xmlError(500, 'InternalError', String(error)),
    faultResponse: ({ status, code }: ErrorFault) => xmlError(status, code, 'An injected fault.'),
  });
  let lastRequest = 0;
  return {
    serve(message, response) {
      lastRequest += 1;
      response.setHeader('x-amz-request-id', lastRequest.toString(16).padStart(16, '0'));
      handler.serve(message, response);
    },
    getStats: () => ({
      ...handler.getStats(),
      objects: store.objects.size,
      storedBytes: store.storedBytes,
    }),
    close: () => store.close(),
  };
}

function xmlError(status: number, code: string, message: string): HttpResponse {
  const body = writePlainXml([
    'Error',
    [
      ['Code', code],
      ['Message', message],
    ],
  ]);
  return { status, headers: { 'content-type': 'application/xml' }, body };
}
