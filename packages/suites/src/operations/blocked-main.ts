/**
 * A service that blocks its main thread when it is told to: `node blocked-main.ts <options>`. It says its port to its
 * parent, then each stall that it is told of.
 */
import { execFileSync } from 'node:child_process';
import { systemClock } from '@holdfast/foundation';
import { createHealth, serveHealth } from '@holdfast/operations';

/** What the parent asks for: to compute, or to wait for another program, for so long. */
export interface BlockRequest {
  readonly kind: 'compute' | 'wait';
  readonly forMs: number;
}

/** What the service says. */
export type BlockedReply =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'stalled'; readonly stalledMs: number; readonly stack: readonly string[] };

const DEAD_AFTER_MS = 2_000;

function reply(message: BlockedReply): void {
  process.send?.(message);
}

function sortTheWholeCatalog(forMs: number): void {
  const untilMs = systemClock.now() + forMs;
  while (systemClock.now() < untilMs);
}

const health = createHealth({
  components: { memory: { group: 'services', check: () => {} } },
});
health.on('stalled', ({ stalledMs, stack }) => reply({ kind: 'stalled', stalledMs, stack }));
const server = await serveHealth(health, {
  port: 0,
  host: '127.0.0.1',
  unreadyAfterMs: 500,
  deadAfterMs: DEAD_AFTER_MS,
});
process.on('message', ({ kind, forMs }: BlockRequest) => {
  if (kind === 'compute') sortTheWholeCatalog(forMs);
  else execFileSync('sleep', [String(forMs / 1_000)]);
});
reply({ kind: 'listening', port: server.port });
