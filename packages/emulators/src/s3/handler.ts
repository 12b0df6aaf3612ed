import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ErrorFault, type ServerCall, answerWithFault } from '../serving/call-faults.ts';
import { type HttpResponse, sendResponse } from '../serving/http-listener.ts';
import type { ResolvedS3ServerOptions } from './options.ts';
import { S3Error } from './wire/error.ts';
import { parseS3Request } from './wire/request.ts';
import { operationOf, runOperation } from './operations/routes.ts';
import { verifySignature } from './wire/signature.ts';
import { openStore } from './store.ts';
import { writeXml } from './wire/xml.ts';

export interface S3ServerStats {
  /** Requests by operation, also those that were refused or struck by a fault. */
  readonly requests: Readonly<Record<string, number>>;
  /** Bytes of bodies that were read, framing included. */
  readonly receivedBytes: number;
  readonly objects: number;
  /** Bytes of all objects and parts. */
  readonly storedBytes: number;
}

/** One request and what it was answered. */
export interface S3RequestRecord extends ServerCall {
  /** 0 where the connection was ended instead. */
  readonly status: number;
  /** Bytes of its body that were read, framing included. */
  readonly receivedBytes: number;
}

/** Everything of an S3 server but its port. */
interface S3Handler {
  serve(message: IncomingMessage, response: ServerResponse): void;
  getStats(): S3ServerStats;
  close(): void;
}

export async function openS3Handler(
  settled: ResolvedS3ServerOptions,
  onRequest: (request: S3RequestRecord) => void,
): Promise<S3Handler> {
  const { clock, faults, accessKeyId, secretAccessKey, accounts } = settled;
  const store = await openStore(settled.directory);
  const secrets = new Map(accounts.map((each) => [each.accessKeyId, each.secretAccessKey]));
  secrets.set(accessKeyId, secretAccessKey);
  const verifier = {
    secretOf: (id: string) => secrets.get(id),
    nowMs: () => clock.epochMs(),
  };
  const requests: Record<string, number> = {};
  let receivedBytes = 0;
  let lastRequest = 0;

  const answer = async (message: IncomingMessage): Promise<HttpResponse | undefined> => {
    let ownBytes = 0;
    const request = parseS3Request(message, (bytes) => {
      ownBytes += bytes;
      receivedBytes += bytes;
    });
    const operation = operationOf(request);
    const { bucket, key } = request;
    requests[operation] = (requests[operation] ?? 0) + 1;
    const work = async (): Promise<HttpResponse> => {
      const caller = verifySignature(request, verifier);
      return runOperation(operation, { request, caller, store, limits: settled, clock });
    };
    const fault = faults({ operation, bucket, key });
    const made = await answerWithFault(fault, message, clock, work, faultAnswer, discard).catch(
      refusalAnswer,
    );
    onRequest({ operation, bucket, key, status: made?.status ?? 0, receivedBytes: ownBytes });
    return made;
  };

  const handle = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    lastRequest += 1;
    response.setHeader('date', new Date(clock.epochMs()).toUTCString());
    response.setHeader('x-amz-request-id', lastRequest.toString(16).padStart(16, '0'));
    const made = await answer(message).catch(refusalAnswer);
    if (made !== undefined) await sendResponse(made, message, response);
  };

  return {
    serve(message, response) {
      // A connection that breaks is its client's affair, who sees it too.
      handle(message, response).catch(() => void response.destroy());
    },
    getStats: () => ({
      requests: { ...requests },
      receivedBytes,
      objects: store.objects.size,
      storedBytes: store.storedBytes,
    }),
    close: () => store.close(),
  };
}

function refusalAnswer(error: unknown): HttpResponse {
  if (error instanceof S3Error) {
    return errorAnswer(error.status, error.reason, error.message);
  }
  return errorAnswer(500, 'InternalError', String(error));
}

function faultAnswer({ status, code, retryAfterS }: ErrorFault): HttpResponse {
  const answer = errorAnswer(status, code, 'A fault of the stage.');
  if (retryAfterS === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'retry-after': String(retryAfterS) } };
}

function errorAnswer(status: number, code: string, message: string): HttpResponse {
  const body = writeXml([
    'Error',
    [
      ['Code', code],
      ['Message', message],
    ],
  ]);
  return { status, headers: { 'content-type': 'application/xml' }, body };
}

function discard({ body }: HttpResponse): void {
  if (body !== undefined && typeof body !== 'string') body.destroy();
}
