import { flushCompileCache } from 'node:module';
import { READY } from './protocol.ts';

/**
 * The program of the watchdog: reads orders until the runner's end of the pipe is closed, by whatever
 * end the runner met, then removes what is still guarded and exits. What removes is loaded once the stage
 * stands, or at the end if that comes first: until then the servers that start need the machine.
 */

type Removal = typeof import('./watchdog-removal.ts');

let loading: Promise<Removal> | undefined;

async function load(): Promise<Removal> {
  const removal = await import('./watchdog-removal.ts');
  flushCompileCache();
  return removal;
}

let orders = '';
for await (const chunk of process.stdin.setEncoding('utf8')) {
  orders += chunk;
  if (orders.includes(READY)) loading ??= load();
}
const { removeRemaining } = await (loading ?? load());
await removeRemaining(orders);
