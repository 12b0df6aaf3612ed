import { expect, test } from '@jest/globals';
import { runHoldfast } from '@holdfast/cli';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { TOPIC } from '../../../src/outage.ts';
import { openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function holdfastQueue(...args: readonly string[]): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  const exitCode = await runHoldfast(['queue', ...args], {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    variables: {},
    clock: systemClock,
    signal: new AbortController().signal,
  });
  return { exitCode, stdout, stderr };
}

test('a topic is inspected, redriven, paused, resumed and purged from the command line', async () => {
  const fixture = await openRedisFixture({});
  try {
    const queue = fixture.queue({ fallback: 'memory' });
    await queue.ready();
    const of = (action: string, ...more: string[]): Promise<Ended> =>
      holdfastQueue(action, '--redis', fixture.redis.url, '--topic', TOPIC, ...more);
    const deadLettered = nextEvent(queue, 'dead-lettered');
    const fail = (): never => {
      throw new Error('no such address');
    };
    const consumer = queue.process(TOPIC, fail, { maxAttempts: 1 });
    await queue.enqueue(TOPIC, { to: 'nobody' }, { jobId: 'dead' });
    await deadLettered;
    await waitUntil(async () => (await queue.inspect(TOPIC).counts()).dead === 1);
    await consumer.close();
    await queue.enqueue(TOPIC, { to: 'ada' }, { jobId: 'first' });
    await queue.enqueue(TOPIC, { to: 'eve' }, { jobId: 'later', delayMs: 3_600_000 });

    const seen = await of('inspect');
    expect(seen).toMatchObject({ exitCode: 0, stderr: '' });
    expect(seen.stdout).toBe(
      [
        'waiting 1, running 0, delayed 1, dead 1',
        'waiting first  {"to":"ada"}',
        'delayed later  {"to":"eve"}',
        'dead    dead  {"to":"nobody"}  Error: no such address',
        '',
      ].join('\n'),
    );
    expect(await of('redrive', '--id', 'none')).toMatchObject({ exitCode: 1 });
    expect(await of('redrive', '--id', 'dead', '--json')).toMatchObject({
      exitCode: 0,
      stdout: `{"topic":"${TOPIC}","redriven":1}\n`,
    });
    expect((await of('pause')).stdout).toBe(`${TOPIC}: paused\n`);
    const paused: { paused: boolean; counts: object } = JSON.parse(
      (await of('inspect', '--json')).stdout,
    );
    expect(paused).toMatchObject({ paused: true, counts: { waiting: 2, dead: 0 } });
    expect((await of('resume')).stdout).toBe(`${TOPIC}: resumed\n`);
    expect((await of('purge', '--keep-delayed')).stdout).toBe(`${TOPIC}: 2 removed\n`);
    expect((await of('purge')).stdout).toBe(`${TOPIC}: 1 removed\n`);
    expect(await queue.inspect(TOPIC).counts()).toMatchObject({ waiting: 0, delayed: 0 });
  } finally {
    await fixture.close();
  }
});

test('an unknown topic, wrong words and a Redis that is away have exit codes of their own', async () => {
  const fixture = await openRedisFixture({});
  try {
    const at = ['--redis', fixture.redis.url];
    const unknown = await holdfastQueue('pause', ...at, '--topic', 'never');
    expect(unknown).toMatchObject({ exitCode: 1, stdout: 'never: unknown-topic\n' });
    expect(await holdfastQueue('pause', ...at)).toMatchObject({ exitCode: 2 });
    const badTopic = await holdfastQueue('inspect', ...at, '--topic', 'a{b');
    expect(badTopic).toMatchObject({ exitCode: 2 });
    const limit = ['--topic', TOPIC, '--limit', '0'];
    expect(await holdfastQueue('inspect', ...at, ...limit)).toMatchObject({ exitCode: 2 });
    await fixture.redis.kill();
    const secret = fixture.redis.url.replace('redis://', 'redis://user:hunter2@');
    const away = await holdfastQueue('purge', '--redis', secret, '--topic', TOPIC);
    expect(away.exitCode).toBe(3);
    expect(away.stderr).toContain('ECONNREFUSED');
    expect(away.stderr).not.toContain('hunter2');
  } finally {
    await fixture.close();
  }
});
