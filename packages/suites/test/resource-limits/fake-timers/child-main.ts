/** Runs the scenarios with the timers of one library in a process of its own; prints those that failed as JSON. */
import { mock } from 'node:test';
import { type Clock, withGlobal } from '@sinonjs/fake-timers';
import { type FakeTimers, scenarios } from './scenarios.ts';

const [library = ''] = process.argv.slice(2);

function sinon(): FakeTimers {
  let clock: Clock | undefined;
  return {
    install() {
      clock = withGlobal(globalThis).install({
        toFake: [
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'Date',
          'performance',
        ],
      });
    },
    tick: (ms) => void clock?.tick(ms),
    clear: () => clock?.reset(),
    restore() {
      clock?.uninstall();
      clock = undefined;
    },
  };
}

function nodeTest(): FakeTimers {
  const install = (): void => mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  return {
    install,
    tick: (ms) => mock.timers.tick(ms),
    // It has no other way to drop its timers.
    clear() {
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
}
process.stdout.write(JSON.stringify(failed, undefined, 2));
process.exit();
