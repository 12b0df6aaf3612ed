import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { retryAfterMsOf } from '@holdfast/foundation';
import { type ErrorKind, classifyError } from '@holdfast/resilience';
import { type Stage, openStage } from '@holdfast/stage';
import { createClient } from '@supabase/supabase-js';
import { createS3Client } from '../../src/client-errors/aws-client.ts';
import { errorOf } from '../../src/client-errors/error-of.ts';
import { isFinal, isOutage, mayPass, underStack } from '../../src/client-errors/under-stack.ts';

let stage: Stage<{ upstream: true }>;
let s3: S3Client;
beforeAll(async () => {
  stage = await openStage({ upstream: true });
  s3 = createS3Client(stage.upstream.url, 30_000);
});
afterAll(async () => {
  s3.destroy();
  await stage.close();
});
beforeEach(() => stage.upstream.link.heal());

const respond = (status: number, body: unknown): Promise<void> =>
  stage.upstream.script([{ path: '/*', status, headers: { 'retry-after': '3' }, body }]);
const get = (): Promise<unknown> => s3.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' }));

test.each<[code: string, status: number, kind: ErrorKind]>([
  ['ThrottlingException', 400, 'rate_limited'],
  ['Throttling', 400, 'rate_limited'],
  ['RequestLimitExceeded', 400, 'rate_limited'],
  ['ProvisionedThroughputExceededException', 400, 'rate_limited'],
  ['TooManyRequestsException', 429, 'rate_limited'],
  ['SlowDown', 503, 'rate_limited'],
  ['RequestTimeout', 400, 'network_timeout'],
  ['OperationAborted', 409, 'conflict'],
  ['ConditionalRequestConflict', 409, 'conflict'],
  ['PreconditionFailed', 412, 'client_error'],
  ['AccessDenied', 403, 'client_error'],
  ['NoSuchKey', 404, 'client_error'],
  ['ValidationException', 400, 'client_error'],
  ['InternalError', 500, 'server_error'],
  ['ServiceUnavailable', 503, 'service_unavailable'],
])('AWS SDK: %s with status %i is of the kind %s', async (code, status, kind) => {
  await respond(status, `<Error><Code>${code}</Code><Message>m</Message></Error>`);
  const error = await errorOf(get());
  expect(classifyError(error)).toBe(kind);
  expect(retryAfterMsOf(error, 0)).toBe(3_000);
});

test.each([
  ['ThrottlingException', 400, isOutage],
  ['ProvisionedThroughputExceededException', 400, isOutage],
  ['SlowDown', 503, isOutage],
  ['OperationAborted', 409, mayPass],
  ['PreconditionFailed', 412, isFinal],
  ['AccessDenied', 403, isFinal],
  ['ValidationException', 400, isFinal],
  ['InternalError', 500, isOutage],
])('AWS SDK: what a stack makes of %s with status %i', async (code, status, judgement) => {
  await respond(status, `<Error><Code>${code}</Code><Message>m</Message></Error>`);
  expect(await underStack(get)).toEqual(judgement);
});

// Jest's own realm has another Error than Node, and the SDK then loses the codes of Node's errors.
test('AWS SDK: lost connections, timeouts and aborts are told apart', async () => {
  const program = fileURLToPath(
    new URL('../../src/client-errors/aws-errors-main.ts', import.meta.url),
  );
  const child = fork(program, [stage.upstream.url]);
  const kindOf = async (signal: 'none' | 'timeout' | 'abort'): Promise<unknown> => {
    child.send(signal);
    const [kind] = await once(child, 'message');
    return kind;
  };
  try {
    stage.upstream.link.faults.set('reset');
    expect(await kindOf('none')).toBe('network_error');
    await stage.upstream.link.heal();
    stage.upstream.link.faults.set('blackhole');
    expect(await kindOf('none')).toBe('network_timeout');
    // Its AbortError keeps no reason, so a caller's own timeout is an abort too.
    expect(await kindOf('timeout')).toBe('aborted');
    expect(await kindOf('abort')).toBe('aborted');
  } finally {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  }
});

type Supabase = ReturnType<typeof createClient>;
const supabase = (): Supabase =>
  createClient(stage.upstream.url, 'key', { auth: { persistSession: false } });

/** The error that each part of supabase-js returns or throws. */
const parts: Readonly<Record<string, (client: Supabase) => Promise<unknown>>> = {
  rest: (client) => errorOf(Promise.resolve(client.from('t').select().retry(false).throwOnError())),
  storage: async (client) => (await client.storage.from('b').list()).error,
  auth: async (client) =>
    (await client.auth.signInWithPassword({ email: 'a@b.c', password: 'p' })).error,
  functions: async (client) => (await client.functions.invoke('f')).error,
};

test.each(Object.entries(parts))('supabase-js, %s: by status, and lost', async (part, call) => {
  const answers: [number, ErrorKind][] = [
    [404, 'client_error'],
    [429, 'rate_limited'],
    [500, 'server_error'],
    [503, 'service_unavailable'],
    [504, 'gateway_timeout'],
  ];
  // PostgREST's errors carry a code, but no status.
  for (const [status, kind] of part === 'rest' ? [] : answers) {
    await respond(status, { message: 'm' });
    const error = await call(supabase());
    expect([status, classifyError(error)]).toEqual([status, kind]);
  }
  stage.upstream.link.faults.set('reset');
  expect(classifyError(await call(supabase()))).toBe('network_error');
});

test.each<[code: string, status: number, kind: ErrorKind]>([
  ['23505', 409, 'client_error'],
  ['42P01', 404, 'client_error'],
  ['40001', 500, 'conflict'],
  ['57014', 500, 'network_timeout'],
  ['53300', 500, 'service_unavailable'],
  ['XX000', 500, 'server_error'],
  ['PGRST116', 406, 'client_error'],
  ['PGRST002', 503, 'service_unavailable'],
  ['PGRST003', 504, 'gateway_timeout'],
])('supabase-js, rest: %s is of the kind %s', async (code, status, kind) => {
  await respond(status, { code, message: 'm', details: null, hint: null });
  expect(classifyError(await parts['rest']!(supabase()))).toBe(kind);
  // Without throwOnError(), the error is a plain object.
  const { error } = await supabase().from('t').select().retry(false);
  expect(classifyError(error)).toBe(kind);
});

test.each([
  ['23505', 409, isFinal],
  ['42P01', 404, isFinal],
  ['40001', 500, mayPass],
  ['53300', 500, isOutage],
  ['PGRST002', 503, isOutage],
])('supabase-js, rest: what a stack makes of %s', async (code, status, judgement) => {
  await respond(status, { code, message: 'm', details: null, hint: null });
  const select = async (): Promise<unknown> =>
    supabase().from('t').select().retry(false).throwOnError();
  expect(await underStack(select)).toEqual(judgement);
});

test.each<[statusCode: string, kind: ErrorKind]>([
  ['404', 'client_error'],
  ['409', 'client_error'],
  ['429', 'rate_limited'],
  ['503', 'service_unavailable'],
  ['544', 'server_error'],
])('supabase-js, storage: %s inside HTTP 400 is of the kind %s', async (statusCode, kind) => {
  await respond(400, { statusCode, error: 'E', message: 'm' });
  expect(classifyError(await parts['storage']!(supabase()))).toBe(kind);
});
