import { flushCompileCache } from 'node:module';
import { READY } from './protocol.ts';

/**
 * The program of the watchdog: reads messages until the pipe is closed, however the other process ends, then
 * removes what is still guarded and exits. The removal is loaded once the stage is open, or at the end if that
 * comes first: until then it would compete with the starting servers.
 */

type Removal = typeof import('./watchdog-removal.ts');

let loading: Promise<Removal> | undefined;

async function load(): Promise<Removal> {
  const removal = await import('./watchdog-removal.ts');
  flushCompileCache();
  return removal;
}

let messages = '';
for await (const chunk of process.stdin.setEncoding('utf8')) {
  messages += chunk;
  if (messages.includes(READY)) loading ??= load();
}
const { removeRemaining } = await (loading ?? load());
await removeRemaining(messages);
// What a frozen disk still holds up is given up.
process.exit();
