/**
 * Preloaded into the victim's process, before its own code: takes resources as it is requested over the process's
 * channel, releases each when its time is over, and all of them when the channel closes.
 */
import { type Timer, systemClock } from '@holdfast/foundation';
import { isAgentRequest } from './agent-protocol.ts';
import { stressors } from './stressors.ts';
import { installAdjustableDate } from './wall-clock.ts';

const active = new Map<string, { readonly undo: () => Promise<void>; readonly timer: Timer }>();

async function release(kind: string): Promise<void> {
  const fault = active.get(kind);
  active.delete(kind);
  fault?.timer.cancel();
  await fault?.undo();
}

async function handle(request: unknown): Promise<void> {
  if (!isAgentRequest(request)) return;
  const { holdfastRequest: number, kind, fault } = request;
  let failure: string | undefined;
  try {
    await release(kind);
    if (fault !== undefined) {
      const undo = await stressors[kind](fault);
      const expire = (): void => void release(kind);
      const timer = systemClock.schedule(fault.forMs, expire, { holdsProcess: false });
      active.set(kind, { undo, timer });
    }
  } catch (error) {
    failure = String(error);
  }
  process.send?.({ holdfastResponse: number, failure });
}

installAdjustableDate();
/** Requests are handled one after the other, so that a fault is complete before the next one. */
let last = Promise.resolve();
process.on('message', (message) => {
  last = last.then(() => handle(message));
});
process.on('disconnect', () => {
  for (const kind of active.keys()) void release(kind);
});
