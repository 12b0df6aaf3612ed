import { formatDuration } from '../../duration.ts';
import type { TestRecord } from '../../report.ts';
import { escapeMarkup } from '../escape.ts';

/** Beyond it a file shows its counts alone; those with failures come first. */
const MAX_ROWS = 4_000;

/** Renders the tests by file; a failed one is named here, its message stands with the failures. */
export function renderTestSection(tests: readonly TestRecord[]): string {
  let rows = 0;
  const files = [...Map.groupBy(tests, ({ project, file }) => `${project ?? ''}\n${file}`)]
    .map(([key, own]) => ({
      key,
      own,
      failed: own.filter(({ status }) => status === 'failed').length,
    }))
    .toSorted((a, b) => b.failed - a.failed);
  const groups = files.map(({ key, own, failed }) => {
    const [project = '', file = ''] = key.split('\n');
    const elapsedMs = own.reduce((sum, { durationMs }) => sum + durationMs, 0);
    const failedPart = failed > 0 ? `<b class="bad">${failed} failed</b> of ` : '';
    const summary =
      `<span class="path">${escapeMarkup(file)}</span>` +
      `<span class="facts">${escapeMarkup(project)} ${failedPart}${own.length} · ${formatDuration(elapsedMs)}</span>`;
    const shown = own.slice(0, Math.max(0, MAX_ROWS - rows));
    rows += shown.length;
    const left = own.length - shown.length;
    const more = left > 0 ? `<p class="facts">${left} more in run.json</p>` : '';
    return (
      `<details class="file"${failed > 0 ? ' open' : ''}><summary>${summary}</summary>` +
      `<ul class="tests">${shown.map(testRow).join('\n')}</ul>${more}</details>`
    );
  });
  return `<section><h2>Tests <small>${tests.length} in ${files.length} files</small></h2>${groups.join('\n')}</section>`;
}

function testRow({ name, status, attempts, durationMs, skipReason }: TestRecord): string {
  const again = attempts > 1 ? ` <em>attempt ${attempts}</em>` : '';
  const isInName = skipReason === undefined || name.includes(skipReason);
  const reason = isInName ? '' : ` <em>${escapeMarkup(skipReason)}</em>`;
  return (
    `<li${status === 'passed' ? '' : ` class="${status}"`}><span>${escapeMarkup(name)}${again}${reason}</span>` +
    `<time>${formatDuration(durationMs)}</time></li>`
  );
}
