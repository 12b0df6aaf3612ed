import type { EngineAddress } from '../system/container-engine.ts';

/** Something that must not outlive the process that opened the stage. */
export type Ward =
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
export type WatchdogOrder =
  | { readonly type: 'guard'; readonly id: number; readonly ward: Ward }
  | { readonly type: 'release'; readonly id: number }
  | { readonly type: 'stands' };

export function encodeOrder(order: WatchdogOrder): string {
  return `${JSON.stringify(order)}\n`;
}

/** The line that tells that the stage stands. */
export const STANDS: string = encodeOrder({ type: 'stands' });

/** What is still guarded at the end of `orders`; a last line that was cut off is ignored. */
export function wardsLeft(orders: string): Ward[] {
  const guarded = new Map<number, Ward>();
  for (const line of orders.split('\n').slice(0, -1)) {
    const order = decodeOrder(line);
    if (order.type === 'guard') guarded.set(order.id, order.ward);
    else if (order.type === 'release') guarded.delete(order.id);
  }
  return [...guarded.values()];
}

/** Both ends of the pipe are this package's own, so the line is what {@link encodeOrder} made. */
function decodeOrder(line: string): WatchdogOrder {
  return JSON.parse(line);
}
