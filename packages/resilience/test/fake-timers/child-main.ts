/** Runs the scenarios with the timers of one library in a process of its own; prints those that failed as JSON. */
import { mock } from 'node:test';
import { type Clock, type FakeMethod, withGlobal } from '@sinonjs/fake-timers';
import { type FakeTimers, scenarios } from './scenarios.ts';

const [library = '', ...wanted] = process.argv.slice(2);

const sinonMethods: readonly FakeMethod[] = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'Date',
  'performance',
];
const nodeApis = ['setTimeout', 'setInterval', 'setImmediate', 'Date'] as const;

function sinon(): FakeTimers {
  let clock: Clock | undefined;
  const toFake = sinonMethods.filter((method) => wanted.includes(method));
  return {
    install: () => void (clock = withGlobal(globalThis).install({ toFake })),
    tick: (ms) => void clock?.tick(ms),
    clear: () => clock?.reset(),
    restore: () => clock?.uninstall(),
  };
}

function nodeTest(): FakeTimers {
  const apis = nodeApis.filter((api) => wanted.includes(api));
  const install = (): void => mock.timers.enable(apis.length === 0 ? undefined : { apis });
  return {
    install,
    tick: (ms) => mock.timers.tick(ms),
    // It has no other way to drop its timers.
    clear: () => {
      mock.timers.reset();
      install();
    },
    restore: () => mock.timers.reset(),
  };
}

const timers = library === 'node:test' ? nodeTest() : sinon();
const failed: string[] = [];
for (const [name, scenario] of Object.entries(scenarios)) {
  try {
    await scenario(timers);
  } catch (error) {
    failed.push(`${name}: ${String(error)}`);
  }
  timers.restore();
}
process.stdout.write(JSON.stringify(failed));
process.exit();
