import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ClaudeMsw, createClaudeMsw } from '@holdfast/emulators/claude/msw';
import { seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { setupServer } from 'msw/node';
import type { ClaudeOptions } from '../../src/llm/claude-options.ts';
import { type ClaudeModel, createClaudeModel } from '../../src/llm/claude-model.ts';
import { EventLines } from '../../src/llm/claude-stream.ts';
import type { ModelProgress } from '../../src/llm/edit-model.ts';

const clock = createFakeClock();
const api: ClaudeMsw = createClaudeMsw({ answer: (prompt) => `answer to ${prompt}`, clock });
const server = setupServer(...api.handlers);
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterAll(() => server.close());

interface Asked {
  readonly model: ClaudeModel;
  readonly progress: ModelProgress[];
  readonly sent: () => number;
  readonly ask: () => ReturnType<ClaudeModel['complete']>;
}

function opened(more: Partial<ClaudeOptions> = {}, timer: FakeClock = clock): Asked {
  api.clearMocks();
  const before = api.requests().length;
  const progress: ModelProgress[] = [];
  const model = createClaudeModel({
    apiKey: () => api.apiKey,
    model: 'claude-test',
    clock: timer,
    random: seededRandom(1),
    ...more,
  });
  const onProgress = (step: ModelProgress): void => void progress.push(step);
  return {
    model,
    progress,
    sent: () => api.requests().length - before,
    ask: () => model.complete({ system: 's', prompt: 'p' }, { onProgress }),
  };
}

test('an answer is put together from its stream, with what it cost', async () => {
  const { ask, model } = opened();
  expect(await ask()).toMatchObject({
    text: 'answer to p',
    stopReason: 'end_turn',
    outputTokens: 3,
  });
  expect(model.getStats()).toEqual({ requests: 1, usedTokens: 4 });
});

test('after a 429 the next attempt waits as long as the API asks', async () => {
  const { ask, progress, sent } = opened();
  api.mockClaudeError(429, 'Rate limit exceeded', { times: 1, retryAfterS: 7 });
  expect(await clock.settle(ask())).toMatchObject({ text: 'answer to p' });
  expect(sent()).toBe(2);
  expect(progress).toEqual([
    { kind: 'api-error', status: 429, message: 'Claude API error 429: Rate limit exceeded' },
    { kind: 'backing-off', delayMs: expect.closeTo(7_500, -3) },
    { kind: 'retrying', attempt: 2 },
  ]);
  const [waited] = progress.flatMap((step) => (step.kind === 'backing-off' ? [step.delayMs] : []));
  expect(waited).toBeGreaterThanOrEqual(7_000);
});

test('an overloaded API is tried again with growing delays; a refusal is not', async () => {
  const { ask, progress } = opened();
  api.mockClaudeError(529, 'Overloaded', { times: 2 });
  await clock.settle(ask());
  const delays = progress.flatMap((step) => (step.kind === 'backing-off' ? [step.delayMs] : []));
  expect(delays).toHaveLength(2);
  expect(Number(delays[1])).toBeGreaterThan(Number(delays[0]) * 1.5);

  const refused = opened();
  api.mockClaudeError(400, 'no');
  await expect(refused.ask()).rejects.toMatchObject({ status: 400, retryable: false });
  expect(refused.sent()).toBe(1);
});

test.each(['reset', 'error-event'] as const)(
  'an answer that ends in its middle by %s is asked for again, and never used',
  async (how) => {
    const { ask, sent } = opened();
    api.mockClaudeCut(how, { times: 1 });
    expect(await clock.settle(ask())).toMatchObject({ text: 'answer to p' });
    expect(sent()).toBe(2);
  },
);

test('silence, before and within an answer, ends an attempt', async () => {
  for (const mock of [
    (): void => api.mockClaudeDelay(3_600_000, { times: 1 }),
    (): void => api.mockClaudeCut('silence', { times: 1 }),
  ]) {
    const { ask, progress } = opened();
    mock();
    expect(await clock.settle(ask())).toMatchObject({ text: 'answer to p' });
    expect(progress.map(({ kind }) => kind)).toEqual(['timeout', 'backing-off', 'retrying']);
  }
});

test('no request is sent beyond the budget, and what cut answers cost counts', async () => {
  const { ask, model, sent } = opened({ budgetTokens: 101, maxAnswerTokens: 100, maxAttempts: 1 });
  api.mockClaudeCut('reset', { times: 1 });
  await expect(ask()).rejects.toMatchObject({ code: 'PUBLISHER_MODEL_ANSWER_CUT' });
  expect(model.getStats().usedTokens).toBe(1);
  await ask();
  await expect(ask()).rejects.toMatchObject({ code: 'PUBLISHER_MODEL_BUDGET' });
  expect(sent()).toBe(2);
});

test('an API that fails all the time is left alone for a while', async () => {
  const { ask, sent } = opened({ failureThreshold: 2, maxAttempts: 2, openDurationMs: 60_000 });
  api.mockClaudeError(500, 'broken');
  await expect(clock.settle(ask())).rejects.toMatchObject({ status: 500 });
  await expect(ask()).rejects.toMatchObject({ code: 'RESILIENCE_CIRCUIT_OPEN' });
  expect(sent()).toBe(2);
});

test('events are read whatever their pieces are', () => {
  const text = 'event: a\ndata: {"x":1}\n\n: comment\r\n\r\ndata: one\ndata: two\r\n\r\n';
  for (const size of [1, 3, 1_000]) {
    const lines = new EventLines();
    const events: string[] = [];
    for (let at = 0; at < text.length; at += size) {
      events.push(...lines.push(text.slice(at, at + size)));
    }
    expect(events).toEqual(['{"x":1}', 'one\ntwo']);
  }
});
