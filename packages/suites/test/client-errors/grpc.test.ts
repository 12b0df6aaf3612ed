import {
  type Client,
  Metadata,
  Server,
  ServerCredentials,
  credentials,
  makeGenericClientConstructor,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createFaultProxy, type FaultProxy } from '@holdfast/faults';
import { retryAfterMsOf } from '@holdfast/foundation';
import { type ErrorKind, classifyError } from '@holdfast/resilience';
import { errorOf } from '../../src/client-errors/error-of.ts';
import { isFinal, isOutage, mayPass, underStack } from '../../src/client-errors/under-stack.ts';

const text = {
  requestSerialize: (value: string) => Buffer.from(value),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (value: string) => Buffer.from(value),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
};
const definition = {
  fail: { path: '/Failing/fail', requestStream: false, responseStream: false, ...text },
};

let server: Server;
let proxy: FaultProxy;
let client: Client;
beforeAll(async () => {
  server = new Server();
  /** Fails with the status that the request names, or not at all. */
  const fail: UntypedHandleCall = (
    call: { request: string },
    reply: (error: object) => void,
  ): void => {
    const metadata = new Metadata();
    metadata.set('retry-after', '3');
    if (call.request !== 'wait') reply({ code: Number(call.request), details: 'd', metadata });
  };
  server.addService(definition, { fail });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  proxy = await createFaultProxy({ target: { host: '127.0.0.1', port } });
  const Failing = makeGenericClientConstructor(definition, 'Failing');
  client = new Failing(`127.0.0.1:${proxy.port}`, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  server.forceShutdown();
  await proxy.close();
});

interface CallOptions {
  readonly deadline?: number;
  readonly cancel?: boolean;
}

const call = (
  request: string,
  { cancel = false, ...options }: CallOptions = {},
): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = definition.fail;
    const pending = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      options,
      (error, value) => (error === null ? resolve(value) : reject(error)),
    );
    if (cancel) setImmediate(() => pending.cancel());
  });

test.each<[status: number, name: string, kind: ErrorKind]>([
  [1, 'CANCELLED', 'aborted'],
  [2, 'UNKNOWN', 'unknown'],
  [3, 'INVALID_ARGUMENT', 'client_error'],
  [4, 'DEADLINE_EXCEEDED', 'network_timeout'],
  [5, 'NOT_FOUND', 'client_error'],
  [6, 'ALREADY_EXISTS', 'client_error'],
  [7, 'PERMISSION_DENIED', 'client_error'],
  [8, 'RESOURCE_EXHAUSTED', 'rate_limited'],
  [9, 'FAILED_PRECONDITION', 'client_error'],
  [10, 'ABORTED', 'conflict'],
  [11, 'OUT_OF_RANGE', 'client_error'],
  [12, 'UNIMPLEMENTED', 'client_error'],
  [13, 'INTERNAL', 'server_error'],
  [14, 'UNAVAILABLE', 'service_unavailable'],
  [15, 'DATA_LOSS', 'server_error'],
  [16, 'UNAUTHENTICATED', 'client_error'],
])('grpc-js: status %i, %s, is of the kind %s', async (status, _, kind) => {
  const error = await errorOf(call(String(status)));
  expect(classifyError(error)).toBe(kind);
  expect(retryAfterMsOf(error, 0)).toBe(3_000);
});

test.each([
  ['CANCELLED', 1, isFinal],
  ['INVALID_ARGUMENT', 3, isFinal],
  ['NOT_FOUND', 5, isFinal],
  ['RESOURCE_EXHAUSTED', 8, isOutage],
  ['ABORTED', 10, mayPass],
  ['INTERNAL', 13, isOutage],
  ['UNAVAILABLE', 14, isOutage],
])('grpc-js: what a stack makes of %s', async (_, status, judgement) => {
  expect(await underStack(() => call(String(status)))).toEqual(judgement);
});

test('grpc-js: deadlines, cancelled calls and lost connections are told apart', async () => {
  const late = await errorOf(call('wait', { deadline: Date.now() + 100 }));
  expect(classifyError(late)).toBe('network_timeout');
  expect(classifyError(await errorOf(call('wait', { cancel: true })))).toBe('aborted');
  proxy.faults.set('reset');
  expect(classifyError(await errorOf(call('5')))).toBe('service_unavailable');
});
