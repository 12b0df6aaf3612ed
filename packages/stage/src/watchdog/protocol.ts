import type { EngineAddress } from '../system/container-engine.ts';

/** Something that must not outlive the process that opened the stage. */
export type GuardedResource =
  | { readonly type: 'process'; readonly pid: number; readonly birth: string }
  | { readonly type: 'segment'; readonly pidFile: string }
  | { readonly type: 'directory'; readonly path: string }
  | { readonly type: 'mount'; readonly path: string }
  | { readonly type: 'cgroup'; readonly path: string }
  | { readonly type: 'composed'; readonly engine: EngineAddress; readonly container: string }
  | {
      readonly type: 'containers';
      readonly engine: EngineAddress;
      readonly labels: readonly string[];
    };

/** What the watchdog is told, one JSON object a line. */
export type WatchdogMessage =
  | { readonly type: 'guard'; readonly id: number; readonly ward: GuardedResource }
  | { readonly type: 'release'; readonly id: number }
  | { readonly type: 'ready' };

export function encodeMessage(order: WatchdogMessage): string {
  return `${JSON.stringify(order)}\n`;
}

/** The line that tells that the stage stands. */
export const READY: string = encodeMessage({ type: 'ready' });

/** What is still guarded at the end of `orders`; a last line that was cut off is ignored. */
export function remaining(orders: string): GuardedResource[] {
  const guarded = new Map<number, GuardedResource>();
  for (const line of orders.split('\n').slice(0, -1)) {
    const order = decodeMessage(line);
    if (order.type === 'guard') guarded.set(order.id, order.ward);
    else if (order.type === 'release') guarded.delete(order.id);
  }
  return [...guarded.values()];
}

/** Both ends of the pipe are this package's own, so the line is what {@link encodeMessage} made. */
function decodeMessage(line: string): WatchdogMessage {
  return JSON.parse(line);
}
