import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type RefusalFault, answerUnder } from './faults.ts';
import { type HttpAnswer, listenOn, sendAnswer } from './listen.ts';
import { type S3ServerOptions, readS3ServerOptions } from './options.ts';
import { S3RefusalError } from './refusal.ts';
import { readRequest } from './request.ts';
import { operationOf, perform } from './routes.ts';
import { verifySignature } from './signature.ts';
import { openStore } from './store.ts';
import { writeXml } from './xml.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3ServerStats {
  /** Requests by operation, also those that were refused or struck by a fault. */
  readonly requests: Readonly<Record<string, number>>;
  /** Bytes of bodies that were read, framing included. */
  readonly receivedBytes: number;
  readonly objects: number;
  /** Bytes of all objects and parts. */
  readonly storedBytes: number;
}

/** An S3 of this process. */
export interface S3Server {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly credentials: S3Credentials;
  getStats(): S3ServerStats;
  /** Ends every connection and stops listening. Calling it again changes nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts an S3 server in this process, path style, for tests: signatures, checksums, conditions and
 * policies are verified as S3 does, because a client is proven only against a server that refuses.
 * @throws InvalidOptionError; the system's own error when it cannot listen.
 */
export async function createS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  const settled = readS3ServerOptions(options);
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

  const answer = async (message: IncomingMessage): Promise<HttpAnswer | undefined> => {
    const request = readRequest(message, (bytes) => void (receivedBytes += bytes));
    const operation = operationOf(request);
    const { bucket, key } = request;
    requests[operation] = (requests[operation] ?? 0) + 1;
    const work = async (): Promise<HttpAnswer> => {
      const caller = verifySignature(request, verifier);
      return perform(operation, { request, caller, store, limits: settled, clock });
    };
    const fault = faults({ operation, bucket, key });
    return answerUnder(fault, message, clock, work, faultAnswer, discard);
  };

  const handle = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    lastRequest += 1;
    response.setHeader('date', new Date(clock.epochMs()).toUTCString());
    response.setHeader('x-amz-request-id', lastRequest.toString(16).padStart(16, '0'));
    const made = await answer(message).catch(refusalAnswer);
    if (made !== undefined) await sendAnswer(made, message, response);
  };

  const server = createServer((message, response) => {
    // A connection that breaks is its client's affair, who sees it too.
    handle(message, response).catch(() => void response.destroy());
  });
  const listening = await listenOn(server, settled);
  const close = async (): Promise<void> => {
    await listening.close();
    store.close();
  };
  return {
    host: listening.host,
    port: listening.port,
    url: listening.url,
    credentials: { accessKeyId, secretAccessKey },
    getStats: () => ({
      requests: { ...requests },
      receivedBytes,
      objects: store.objects.size,
      storedBytes: store.storedBytes,
    }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function refusalAnswer(error: unknown): HttpAnswer {
  if (error instanceof S3RefusalError) {
    return errorAnswer(error.status, error.reason, error.message);
  }
  return errorAnswer(500, 'InternalError', String(error));
}

function faultAnswer({ status, code, retryAfterS }: RefusalFault): HttpAnswer {
  const answer = errorAnswer(status, code, 'A fault of the stage.');
  if (retryAfterS === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'retry-after': String(retryAfterS) } };
}

function errorAnswer(status: number, code: string, message: string): HttpAnswer {
  const body = writeXml([
    'Error',
    [
      ['Code', code],
      ['Message', message],
    ],
  ]);
  return { status, headers: { 'content-type': 'application/xml' }, body };
}

function discard({ body }: HttpAnswer): void {
  if (body !== undefined && typeof body !== 'string') body.destroy();
}
