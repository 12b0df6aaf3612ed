/** How far a batch is. */
export interface BatchProgress {
  readonly total: number;
  /** Tasks that are extracted, or were found stored. */
  readonly extracted: number;
  /** Tasks that have failed for good, and are left out. */
  readonly failed: number;
  readonly features: number;
}

const BAR = 20;
const HUNDRED = 100;

/** One line: `[##########----------] 75/150 50 %, 4,500 features, 2 failed`. */
export function formatProgress({ total, extracted, failed, features }: BatchProgress): string {
  const done = extracted + failed;
  const share = total === 0 ? 1 : done / total;
  const filled = Math.floor(share * BAR);
  const bar = '#'.repeat(filled) + '-'.repeat(BAR - filled);
  const percent = Math.floor(share * HUNDRED);
  const lost = failed === 0 ? '' : `, ${failed} failed`;
  return `[${bar}] ${done}/${total} ${percent} %, ${features.toLocaleString('en-US')} features${lost}`;
}

/**
 * Writes the progress over its last line on a terminal, and on anything else a line for each tenth.
 * @param output such as `process.stderr`
 * @returns an `onProgress`
 */
export function createProgressBar(output: {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}): (progress: BatchProgress) => void {
  let lastTenth = -1;
  return (progress) => {
    const done = progress.extracted + progress.failed;
    const isEnd = done === progress.total;
    if (output.isTTY === true) {
      output.write(`\r\u001B[K${formatProgress(progress)}${isEnd ? '\n' : ''}`);
      return;
    }
    const tenth = Math.floor((done * 10) / Math.max(1, progress.total));
    if (tenth === lastTenth) return;
    lastTenth = tenth;
    output.write(`${formatProgress(progress)}\n`);
  };
}
