/** Says how it is with it, whenever it is asked. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openSync, closeSync, readdirSync } from 'node:fs';

const loop = monitorEventLoopDelay({ resolution: 5 });
loop.enable();

function canOpen(): boolean {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return true;
  } catch {
    return false;
  }
}

process.on('message', (message) => {
  if (message === 'spin') {
    process.send?.('spins', () => {
      while (true);
    });
  }
  if (message !== 'how is it?') return;
  const { user, system } = process.cpuUsage();
  const answer = {
    epochMs: Date.now(),
    writtenMs: new Date().getTime(),
    upMs: performance.now(),
    rssBytes: canOpen() ? process.memoryUsage.rss() : Number.NaN,
    stalledMs: loop.max / 1_000_000,
    cpuMs: (user + system) / 1_000,
    canOpen: canOpen(),
    descriptors: canOpen() ? readdirSync('/dev/fd').length : Number.NaN,
  };
  process.send?.(answer);
});
