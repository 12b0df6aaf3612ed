/** Runs an experiment whose fault is a file, and ends in the way that is asked for while the fault is there. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { experiment } from '@holdfast/faults';
import { isHoldfastError, systemClock } from '@holdfast/foundation';
import { quiet } from '../servers.ts';

const [ending = '', path = ''] = process.argv.slice(2);
const never = (): Promise<never> => new Promise(() => {});

if (ending.endsWith('own listener')) {
  process.on('SIGTERM', () => console.log('heard SIGTERM'));
}

let isBroken = false;
let isEnding = false;

/** Ends the process as it is asked for, or says that it can be ended. */
function end(): void {
  // Seen from outside, it may be undone already.
  if (!existsSync(path)) fail('the fault is not there');
  if (ending === 'exit') process.exit(7);
  if (ending === 'uncaught') queueMicrotask(() => fail('nobody catches this'));
  if (ending === 'rejection') void Promise.reject(new Error('nobody awaits this'));
  console.log('injected');
}

function fail(message: string): never {
  throw new Error(message);
}

const result = await experiment({
  name: 'interrupted',
  steadyState: {
    probes: { hanging: () => (isBroken && ending === 'hanging probes' ? never() : undefined) },
    timeoutMs: 300,
  },
  baselineMs: 200,
  fault(signal, undo) {
    writeFileSync(path, 'broken');
    isBroken = true;
    if (ending === 'exit') return () => rmSync(path);
    if (ending === 'halfway') {
      undo.defer(() => rm(path));
      signal.addEventListener('abort', () => {}, { once: true });
      console.log('injected');
      return never();
    }
    return async () => {
      await quiet();
      isBroken = false;
      if (ending === 'failing undo, own listener') fail('cannot be mended');
      // Longer than half of the time there is.
      if (ending === 'slow undo')
        await new Promise<void>((resolve) => void systemClock.schedule(600, resolve));
      await rm(path);
      if (ending === 'hanging undo' || ending === 'hanging undo, own listener') await never();
    };
  },
  durationMs: ending.startsWith('hanging probes') || ending === 'hanging verify' ? 400 : 60_000,
  abortIf() {
    // After a probe during the fault.
    if (!isEnding) end();
    isEnding = true;
    return false;
  },
  undoTimeoutMs: 1_000,
  recoveryTimeoutMs: 500,
  verify: ending === 'hanging verify' ? never : () => {},
  verifyTimeoutMs: 400,
}).catch((error: unknown) => {
  console.log(isHoldfastError(error) ? `${error.code} ${error.message}` : error);
});
console.log(`verdict ${result?.verdict}`);
