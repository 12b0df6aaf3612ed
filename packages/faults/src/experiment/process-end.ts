/** What has to be undone before this process ends. */
interface Pending {
  /** Undoes it in bounded time. Must not reject. */
  undo(reason: string): Promise<unknown>;
  /** Undoes what can be undone without waiting. */
  undoNow(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const pending = new Set<Pending>();
let isEnding = false;

/**
 * Undoes something when this process is about to end by a signal, an uncaught error or an unhandled rejection, which then
 * take their course; `process.exit()` leaves time only for what is undone without waiting. Returns a function that ends
 * the watch. No listener remains without anything to undo.
 */
export function undoBeforeProcessEnds(each: Pending): () => void {
  if (pending.size === 0) listen();
  pending.add(each);
  return () => {
    if (pending.delete(each) && pending.size === 0) stopListening();
  };
}

function listen(): void {
  for (const signal of SIGNALS) process.on(signal, onSignal);
  process.on('uncaughtException', onUncaught);
  process.on('exit', onExit);
}

function stopListening(): void {
  for (const signal of SIGNALS) process.off(signal, onSignal);
  process.off('uncaughtException', onUncaught);
  process.off('exit', onExit);
}

async function undoAll(reason: string): Promise<void> {
  isEnding = true;
  await Promise.all([...pending].map((each) => each.undo(reason)));
  // Warnings that were emitted meanwhile are printed in the next turn.
  await new Promise((resolve) => setImmediate(resolve));
  isEnding = false;
}

async function onSignal(signal: NodeJS.Signals): Promise<void> {
  const isAlone = process.listenerCount(signal) === 1;
  // The second signal is from somebody who does not want to wait.
  if (!isEnding) await undoAll(signal);
  // Another listener decides itself whether the process ends.
  if (!isAlone) return;
  stopListening();
  process.kill(process.pid, signal);
}

async function onUncaught(error: unknown, origin: string): Promise<void> {
  const isAlone =
    process.listenerCount('uncaughtException') === 1 &&
    !process.hasUncaughtExceptionCaptureCallback();
  if (isEnding) return;
  await undoAll(origin === 'uncaughtException' ? 'an uncaught error' : 'an unhandled rejection');
  if (!isAlone) return;
  stopListening();
  // Node prints it and ends, as it would have without this listener.
  setImmediate(() => {
    throw error;
  });
}

function onExit(): void {
  for (const each of pending) each.undoNow();
}
