/**
 * Loaded before the victim's own code, in its process: takes resources as it is told over the process's
 * channel, gives them back when their time is over, and all of them when nobody is there to tell it.
 */
import { type Timer, systemClock } from '@holdfast/foundation';
import { stressors } from './stressors.ts';
import { isAgentRequest } from './agent-protocol.ts';
import { takeWallClock } from './wall-clock.ts';

const inForce = new Map<string, { readonly undo: () => Promise<void>; readonly timer: Timer }>();

async function release(kind: string): Promise<void> {
  const harm = inForce.get(kind);
  inForce.delete(kind);
  harm?.timer.cancel();
  await harm?.undo();
}

async function obey(order: unknown): Promise<void> {
  if (!isAgentRequest(order)) return;
  const { holdfastRequest: number, kind, fault } = order;
  let failure: string | undefined;
  try {
    await release(kind);
    if (fault !== undefined) {
      const undo = await stressors[kind](fault);
      const giveBack = (): void => void release(kind);
      const timer = systemClock.schedule(fault.forMs, giveBack, { holdsProcess: false });
      inForce.set(kind, { undo, timer });
    }
  } catch (error) {
    failure = String(error);
  }
  process.send?.({ holdfastResponse: number, failure });
}

takeWallClock();
/** One after the other: a fault is never half there when the next order comes. */
let turn = Promise.resolve();
process.on('message', (message) => {
  turn = turn.then(() => obey(message));
});
process.on('disconnect', () => {
  for (const kind of inForce.keys()) void release(kind);
});
