import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { experiment } from '@holdfast/faults';
import { createFakeClock } from '@holdfast/foundation/testing';

const SCRIPT = join(import.meta.dirname, 'interrupted-experiment.ts');

let directory: string;
let path: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-interrupted-'));
  path = join(directory, 'fault');
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

interface End {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
}

/** Runs the script to its end. @param onInjected called when the fault is there. */
async function run(ending: string, onInjected: (child: ChildProcess) => void): Promise<End> {
  const child = spawn(process.execPath, [SCRIPT, ending, path]);
  children.push(child);
  let output = '';
  let wasInjected = false;
  const read = (chunk: Buffer): void => {
    output += chunk.toString();
    if (wasInjected || !output.includes('injected\n')) return;
    wasInjected = true;
    onInjected(child);
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  await once(child, 'close');
  return { code: child.exitCode, signal: child.signalCode, output };
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  'a fault is undone before %s ends the process, which then ends by that signal',
  async (signal) => {
    const end = await run('signal', (child) => child.kill(signal));
    expect(end).toMatchObject({ signal });
    expect(existsSync(path)).toBe(false);
  },
);

test.each([
  ['uncaught', 'nobody catches this'],
  ['rejection', 'nobody awaits this'],
])('a fault is undone before an error ends the process as ever: %s', async (ending, message) => {
  const end = await run(ending, () => {});
  expect(end).toMatchObject({ code: 1, output: expect.stringContaining(message) });
  expect(existsSync(path)).toBe(false);
});

test('process.exit() leaves time for what is undone without waiting', async () => {
  expect(await run('exit', () => {})).toMatchObject({ code: 7 });
  expect(existsSync(path)).toBe(false);
});

test('a fault of several steps is undone when a signal comes before the last one', async () => {
  expect(await run('halfway', (child) => child.kill('SIGTERM'))).toMatchObject({
    signal: 'SIGTERM',
  });
  expect(existsSync(path)).toBe(false);
});

test('an undo function that hangs does not keep the process from its end, and that is told', async () => {
  const end = await run('hanging undo', (child) => child.kill('SIGTERM'));
  expect(end).toMatchObject({
    signal: 'SIGTERM',
    output: expect.stringContaining('the fault was not undone'),
  });
});

test('an undo function that takes most of its time is waited for before a signal ends the process', async () => {
  const end = await run('slow undo', (child) => child.kill('SIGINT'));
  expect(end.signal).toBe('SIGINT');
  expect(end.output).not.toContain('not undone');
  expect(existsSync(path)).toBe(false);
});

test('a second signal ends the process at once', async () => {
  const end = await run('hanging undo', (child) => {
    child.kill('SIGTERM');
    const again = setInterval(() => child.kill('SIGINT'), 50);
    child.once('exit', () => clearInterval(again));
  });
  expect(end.signal).toBe('SIGINT');
  expect(end.output).not.toContain('the fault was not undone');
});

test('where the process has a listener of its own for a signal, only the fault is undone', async () => {
  const end = await run('own listener', (child) => child.kill('SIGTERM'));
  expect(end).toMatchObject({
    code: 0,
    signal: null,
    output: expect.stringMatching(
      /heard SIGTERM[^]*FAULTS_EXPERIMENT_INTERRUPTED .*ended by SIGTERM, after the fault was undone/,
    ),
  });
  expect(existsSync(path)).toBe(false);
});

test.each(['failing undo, own listener', 'hanging undo, own listener'])(
  'the error of an interrupted experiment tells that the fault was not undone: %s',
  async (ending) => {
    const end = await run(ending, (child) => child.kill('SIGTERM'));
    expect(end).toMatchObject({
      code: 0,
      output: expect.stringMatching(
        /FAULTS_EXPERIMENT_INTERRUPTED .*ended by SIGTERM, and the fault was not undone/,
      ),
    });
    expect(end.output).not.toContain('after the fault was undone');
  },
);

test.each(['hanging probes', 'hanging verify'])(
  'an experiment with %s ends with its result, not with the process',
  async (ending) => {
    const end = await run(ending, () => {});
    expect(end).toMatchObject({ code: 0, output: expect.stringContaining('verdict ') });
    expect(existsSync(path)).toBe(false);
  },
);

test('the process has listeners only while there is a fault to undo', async () => {
  const clock = createFakeClock();
  const events = ['SIGTERM', 'SIGINT', 'SIGHUP', 'uncaughtException', 'exit'];
  const listeners = (): number[] => events.map((event) => process.listenerCount(event));
  const before = listeners();
  const during: number[][] = [];
  const trial = (fault: () => () => void): Promise<unknown> =>
    experiment({
      name: 'trial',
      steadyState: { probes: { fine: () => {} } },
      fault,
      durationMs: 100,
      clock,
      verify: () => void during.push(listeners()),
    });
  const one = trial(() => () => void during.push(listeners()));
  const other = trial(() => () => {});
  await clock.settle(Promise.all([one, other]));
  // However many faults there are, there is one listener of each kind.
  expect(during[0]).toEqual(before.map((count) => count + 1));
  expect(during.slice(1)).toEqual([before, before]);
  const failing = trial(() => {
    throw new Error('cannot be broken');
  });
  await expect(clock.settle(failing)).rejects.toThrow('cannot be broken');
  expect(listeners()).toEqual(before);
});
