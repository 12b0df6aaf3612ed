/** A service that parses or buffers a burst: `node --max-old-space-size=64 memory-main.ts <options>`. */
import { sleep, systemClock } from '@holdfast/foundation';
import { createMemoryGuard } from '@holdfast/network/limits';
import { optionsOf } from './child.ts';

export interface MemoryOptions {
  readonly guarded: boolean;
  /** `json`: texts are parsed into the heap. `buffers`: bytes are kept outside of it. */
  readonly kind: 'json' | 'buffers';
  readonly calls: number;
}

export interface MemoryReport {
  readonly served: number;
  /** The codes of refused calls. */
  readonly codes: Readonly<Record<string, number>>;
  readonly largestShare: number;
  readonly heapLimitMib: number;
  readonly rssLimitMib: number | undefined;
  readonly warning: string | undefined;
}

const MIB = 1_048_576;
/** A text of 1 MiB, which takes about ten times as much when it is parsed. */
const TEXT_TAKES = 12 * MIB;
/** How long the other service takes. */
const HELD_MS = 30;
const BUFFER_BYTES = 8 * MIB;
const { guarded, kind, calls } = optionsOf<MemoryOptions>();
const guard = createMemoryGuard({ intervalMs: 20 });
const text = JSON.stringify(
  Array.from({ length: 12_000 }, (_, id) => ({
    id,
    name: `bundle ${id}`,
    tags: ['a', 'b'],
    price: id / 3,
  })),
);
let largestShare = 0;

/** Holds what it has made while it asks another service. */
async function handle(): Promise<number> {
  const held = kind === 'json' ? [JSON.parse(text)] : [Buffer.alloc(BUFFER_BYTES, 1)];
  const { heapUsed, heapLimit, rss, rssLimit } = guard.check();
  largestShare = Math.max(
    largestShare,
    heapUsed / heapLimit,
    rssLimit === undefined ? 0 : rss / rssLimit,
  );
  await sleep(systemClock, HELD_MS);
  return held.length;
}

const takes = kind === 'json' ? TEXT_TAKES : BUFFER_BYTES;
// All in one turn: no timer could see it coming.
const ended = await Promise.allSettled(
  Array.from({ length: calls }, () => (guarded ? guard.admit(takes, handle) : handle())),
);
const codes: Record<string, number> = {};
for (const end of ended) {
  if (end.status === 'fulfilled') continue;
  const { code } = end.reason;
  codes[code] = (codes[code] ?? 0) + 1;
}
const { heapLimit, rssLimit, warning } = guard.getStats();
const report: MemoryReport = {
  served: ended.filter(({ status }) => status === 'fulfilled').length,
  codes,
  largestShare,
  heapLimitMib: heapLimit / MIB,
  rssLimitMib: rssLimit === undefined ? undefined : rssLimit / MIB,
  warning,
};
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
