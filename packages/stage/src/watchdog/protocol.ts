import type { EngineAddress } from '../system/container-engine.ts';

/** A resource that must not outlive the process that opened the stage. */
export type GuardedResource =
  | { readonly kind: 'process'; readonly pid: number; readonly startTime: string }
  | { readonly kind: 'segment'; readonly pidFile: string }
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'mount'; readonly path: string }
  | { readonly kind: 'cgroup'; readonly path: string }
  | { readonly kind: 'composed'; readonly engine: EngineAddress; readonly container: string }
  | {
      readonly kind: 'containers';
      readonly engine: EngineAddress;
      readonly labels: readonly string[];
    };

/** A message to the watchdog, one JSON object per line. */
type WatchdogMessage =
  | { readonly kind: 'guard'; readonly id: number; readonly resource: GuardedResource }
  | { readonly kind: 'release'; readonly id: number }
  | { readonly kind: 'ready' };

export function encodeMessage(message: WatchdogMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/** The line that reports that the stage is open. */
export const READY: string = encodeMessage({ kind: 'ready' });

/** The resources that are still guarded at the end of `messages`; an incomplete last line is ignored. */
export function remaining(messages: string): GuardedResource[] {
  const guarded = new Map<number, GuardedResource>();
  for (const line of messages.split('\n').slice(0, -1)) {
    const message = decodeMessage(line);
    if (message.kind === 'guard') guarded.set(message.id, message.resource);
    else if (message.kind === 'release') guarded.delete(message.id);
  }
  return [...guarded.values()];
}

/** Both ends of the pipe belong to this package: the line was written by {@link encodeMessage}. */
function decodeMessage(line: string): WatchdogMessage {
  return JSON.parse(line);
}
