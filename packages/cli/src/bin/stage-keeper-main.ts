import { sleep, systemClock } from '@holdfast/foundation';
import { describeError, exitCodeOf } from '../describe-error.ts';
import type { KeeperMessage, KeeperRequest } from '../stage/keeper-protocol.ts';
import { processStartTime } from '../stage/process-start-time.ts';
import { listServers, openKeptServers, variablesOf } from '../stage/stage-servers.ts';
import { removeState, writeState } from '../stage/stage-state.ts';
import { warningText } from '../terminal/warning-text.ts';

/** The program that keeps a stage up until SIGTERM. Its request is its argument; its parent is sent messages. */

const FOREVER_MS = 100 * 365 * 86_400_000;
const { stateFile, names, mode }: KeeperRequest = JSON.parse(process.argv[2] ?? '');
const ending = new AbortController();
const end = (): void => ending.abort(new Error('the opening was interrupted'));
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, end);
// Nobody waits for the opening any more.
process.once('disconnect', end);
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  const text = warningText(warning);
  if (text !== undefined) send({ kind: 'notice', text });
});

function send(message: KeeperMessage): void {
  if (process.connected) process.send?.(message);
}

try {
  const stage = await openKeptServers(names, mode, ending.signal);
  try {
    const kept = {
      pid: process.pid,
      processStartTime: processStartTime(process.pid) ?? '',
      startedAtEpochMs: systemClock.epochMs(),
      mode: stage.mode,
      names,
      servers: listServers(stage),
      variables: variablesOf(stage),
    };
    await writeState(stateFile, kept);
    try {
      process.removeListener('disconnect', end);
      send({ kind: 'up', stage: kept });
      if (process.connected) process.disconnect();
      // It holds this process, too.
      await sleep(systemClock, FOREVER_MS, ending.signal).catch(() => undefined);
    } finally {
      await removeState(stateFile);
    }
  } finally {
    await stage.close();
  }
} catch (error) {
  send({ kind: 'failed', text: describeError(error), exitCode: exitCodeOf(error) });
  if (process.connected) process.disconnect();
  process.exitCode = 1;
}
