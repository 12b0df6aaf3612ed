import type { Clock } from '@holdfast/foundation';
import type { SyncPhase, SyncProgress } from '../sync/catalog-sync.ts';
import { type TerminalStream, cut, formatCount, formatDuration, widthOf } from './terminal.ts';

interface ProgressDisplay {
  show(progress: SyncProgress): void;
  /** Leaves the terminal as it was: at the beginning of an empty line. */
  end(): void;
}

const REDRAW_MS = 100;
/** Where lines go to a file. */
const LINE_MS = 10_000;
const MIN_BAR = 10;
const MAX_BAR = 40;
const AROUND_BAR = '[] 100 % '.length;
const CLEAR_TO_END = '\u001b[K';

/** A bar on a terminal, otherwise a line now and then. */
export function createProgressDisplay(stream: TerminalStream, clock: Clock): ProgressDisplay {
  const startedMs = clock.now();
  let shownMs = Number.NEGATIVE_INFINITY;
  let phase: SyncPhase | undefined;
  const isDue = (next: SyncPhase, everyMs: number): boolean => {
    const now = clock.now();
    if (next === phase && now - shownMs < everyMs) return false;
    [phase, shownMs] = [next, now];
    return true;
  };
  if (stream.isTTY === true) {
    return {
      show(progress) {
        if (!isDue(progress.phase, REDRAW_MS)) return;
        const line = progressLine(progress, clock.now() - startedMs, widthOf(stream));
        stream.write(`\r${line}${CLEAR_TO_END}`);
      },
      end: () => void stream.write(`\r${CLEAR_TO_END}`),
    };
  }
  return {
    show(progress) {
      if (!isDue(progress.phase, LINE_MS)) return;
      stream.write(`${words(progress, clock.now() - startedMs).join(', ')}\n`);
    },
    end() {},
  };
}

/** Of at most `width` columns: how much there is comes first, then the bar, then what else fits. */
export function progressLine(progress: SyncProgress, elapsedMs: number, width: number): string {
  const { rows, expectedRows } = progress;
  const [first = '', ...others] = words(progress, elapsedMs);
  if (first.length > width) return cut(progress.phase, width);
  const hasBar = expectedRows !== undefined && expectedRows > 0;
  let text = first;
  for (const word of others) {
    const longer = `${text}, ${word}`;
    if (longer.length > width - (hasBar ? MIN_BAR + AROUND_BAR : 0)) break;
    text = longer;
  }
  const room = Math.min(MAX_BAR, width - text.length - AROUND_BAR);
  if (!hasBar || room < MIN_BAR) return text;
  const share = Math.min(1, rows / expectedRows);
  const filled = Math.floor(share * room);
  const percent = `${Math.floor(share * 100)}`.padStart(3);
  return `[${'#'.repeat(filled)}${'-'.repeat(room - filled)}] ${percent} % ${text}`;
}

function words(progress: SyncProgress, elapsedMs: number): string[] {
  const { phase, pages, reusedPages, rows, expectedRows } = progress;
  const of = expectedRows === undefined ? '' : ` of about ${formatCount(expectedRows)}`;
  return [
    phase === 'locking' ? phase : `${phase} ${formatCount(rows)}${of} bundles`,
    ...(pages > 0 ? [`${formatCount(pages)} pages`] : []),
    ...(reusedPages > 0 ? [`${formatCount(reusedPages)} of them known`] : []),
    formatDuration(elapsedMs),
  ];
}
