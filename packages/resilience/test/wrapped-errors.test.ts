import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { HoldfastError } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  BulkheadFullError,
  RetryExhaustedError,
  classifyError,
  createResilienceStack,
  createRetry,
} from '@holdfast/resilience';
import { failing, failureOf } from './failures.ts';

class OwnError extends HoldfastError {
  readonly code = 'OWN';
}

const reset = (): Error => Object.assign(new Error('reset'), { code: 'ECONNRESET' });
const unknown = (): Error =>
  new OwnError('lost', { outcome: 'unknown', retryable: false, cause: reset() });
const unsent = (): Error => new OwnError('full', { outcome: 'not-applied', retryable: true });

type Wrap = (inner: Error) => unknown;

const caused: Wrap = (inner) => new Error('could not save', { cause: inner });
const deep =
  (depth: number): Wrap =>
  (inner) => {
    let error: unknown = inner;
    for (let level = 0; level < depth; level += 1) error = new Error('outer', { cause: error });
    return error;
  };

const fieldsOf = (error: Error): object => Object.fromEntries(Object.entries(error));

/** As TypeORM, which copies the fields of the error as well. */
const copied: Wrap = (driverError) =>
  Object.assign(new Error('query failed'), { ...fieldsOf(driverError), driverError });

const wrappers: Readonly<Record<string, Wrap>> = {
  'a cause': caused,
  'ten causes': deep(10),
  'a hundred causes': deep(100),
  'a cause with a code of its own': (inner) => Object.assign(reset(), { cause: inner }),
  'a cause with HTTP 503': (inner) =>
    Object.assign(new Error('down', { cause: inner }), { status: 503 }),
  originalError: (inner) => Object.assign(new Error('outer'), { originalError: inner }),
  driverError: (inner) => Object.assign(new Error('outer'), { driverError: inner }),
  'copied fields': copied,
  // As MikroORM, which keeps nothing else of the error.
  'copied fields alone': (inner) => Object.assign(new Error('outer'), fieldsOf(inner)),
  'the first of an AggregateError': (inner) => new AggregateError([inner, reset()]),
  'the last of an AggregateError': (inner) => new AggregateError([reset(), reset(), inner]),
  'an AggregateError in a cause': (inner) => caused(new AggregateError([reset(), inner])),
  'a SuppressedError': (inner) =>
    Object.assign(new Error('outer'), { error: reset(), suppressed: inner }),
  'another realm': (inner) =>
    runInNewContext(`Object.assign(new Error('outer'), { cause: inner })`, { inner }),
  'an error of its own that does not tell': (inner) =>
    new OwnError('outer', { retryable: true, cause: inner }),
};

type Execute = (work: () => Promise<unknown>) => Promise<unknown>;

function policies(clock: FakeClock): Execute[] {
  const stack = createResilienceStack({ name: 'portal', retry: {}, clock });
  const single = createRetry({ clock });
  return [(work) => stack.execute(work), (work) => single.execute(work)];
}

const cases = Object.entries(wrappers);

test.each(cases)('behind %s, an unknown outcome is never retried', async (_, wrap) => {
  const clock = createFakeClock();
  const error = wrap(unknown());
  expect(classifyError(error)).toBe('outcome_unknown');
  for (const execute of policies(clock)) {
    let attempts = 0;
    const call = execute(async () => {
      attempts += 1;
      throw error;
    });
    expect(await failureOf(clock.settle(call))).toBe(error);
    expect(attempts).toBe(1);
  }
});

test.each(cases)('behind %s, what was not applied is retried', async (_, wrap) => {
  const clock = createFakeClock();
  for (const execute of policies(clock)) {
    const work = failing(1, wrap(unsent()));
    expect(await clock.settle(execute(work))).toBe('ok');
    expect(work).toHaveBeenCalledTimes(2);
  }
});

test.each(cases)('behind %s, the wait that the inner error asks for is kept', async (_, wrap) => {
  const clock = createFakeClock();
  const busy = new OwnError('busy', {
    outcome: 'not-applied',
    retryable: true,
    retryAfterMs: 7_000,
  });
  await clock.settle(createRetry({ clock, jitterFactor: 0 }).execute(failing(1, wrap(busy))));
  expect(clock.now()).toBe(7_000);
  const failed = await failureOf(
    clock.settle(createRetry({ clock, maxAttempts: 2 }).execute(failing(9, wrap(busy)))),
  );
  expect(failed).toMatchObject({ outcome: 'not-applied', retryAfterMs: 7_000 });
});

test('the worst branch of an AggregateError decides, in any order', () => {
  const errors = [unsent(), unknown(), unsent()];
  expect(classifyError(new AggregateError(errors))).toBe('outcome_unknown');
  expect(classifyError(new AggregateError(errors.toReversed()))).toBe('outcome_unknown');
  expect(classifyError(new AggregateError([unsent(), unsent()]))).toBe('transient');
});

test('the first error with an outcome decides, not what is behind it', () => {
  const inner = new OwnError('full', { outcome: 'not-applied', retryable: true, cause: unknown() });
  expect(classifyError(caused(inner))).toBe('network_error');
  const lost = new OwnError('lost', { outcome: 'unknown', cause: unsent() });
  expect(classifyError(caused(lost))).toBe('outcome_unknown');
});

test('an error of its own that is not retryable stays so, whatever is behind it', () => {
  expect(classifyError(new OwnError('outer', { cause: unsent() }))).toBe('permanent');
  expect(classifyError(caused(new OwnError('outer', { cause: reset() })))).toBe('permanent');
});

test('what an error around it says for certain stays: a 404, an abort', () => {
  const notFound = Object.assign(new Error('absent', { cause: unsent() }), { status: 404 });
  expect(classifyError(notFound)).toBe('client_error');
  const left = Object.assign(new Error('left', { cause: unsent() }), { name: 'AbortError' });
  expect(classifyError(left)).toBe('aborted');
});

test('a refusal and a spent retry keep their kinds in a wrapper', () => {
  expect(classifyError(caused(new BulkheadFullError('b', 'full')))).toBe('refused');
  const attempts = [{ attemptNumber: 1, delayMs: 0, retryable: true, error: unsent() }];
  expect(classifyError(caused(new RetryExhaustedError('r', attempts, 'attempts')))).toBe(
    'exhausted',
  );
});

test('a word in a field of a foreign error decides nothing, and a circle ends', () => {
  expect(classifyError(Object.assign(reset(), { outcome: 'unknown' }))).toBe('network_error');
  expect(classifyError(Object.assign(reset(), { outcome: 'won', retryable: false }))).toBe(
    'network_error',
  );
  const first = new Error('first');
  first.cause = new AggregateError([first, caused(first)]);
  expect(classifyError(first)).toBe('unknown');
});
