import { formatDuration } from './duration.ts';
import type { Moment, ScenarioRecord } from '../report.ts';

const WIDTH = 720;
const MARGIN = 24;
const AXIS_Y = 72;
const HEIGHT = 104;
const RADIUS = 8;
/** Moments closer than this are stacked, in as many rows as fit. */
const CROWDED = 2 * RADIUS + 2;
const ROWS = 3;

/** The moments of a scenario in order of time. */
export function momentsOf({ timeline }: ScenarioRecord): readonly Moment[] {
  return (timeline ?? []).toSorted((a, b) => a.atMs - b.atMs);
}

/**
 * Renders the moments of a scenario on a time axis: the outage shaded from the fault to the recovery, the
 * detection marked, each moment as a number that the list below explains. Empty without moments.
 */
export function renderTimeline(scenario: ScenarioRecord): string {
  const moments = momentsOf(scenario);
  if (moments.length === 0) return '';
  const { detectedAfterMs, lastedMs = 0, recoveredAfterMs } = scenario;
  const recoveredAtMs = recoveredAfterMs === undefined ? undefined : lastedMs + recoveredAfterMs;
  const times = [0, ...moments.map(({ atMs }) => atMs), detectedAfterMs ?? 0, recoveredAtMs ?? 0];
  const firstMs = Math.min(...times);
  const spanMs = Math.max(Math.max(...times) - firstMs, 1);
  const x = (atMs: number): number =>
    Math.round(MARGIN + ((atMs - firstMs) / spanMs) * (WIDTH - 2 * MARGIN));

  const parts: string[] = [];
  if (recoveredAtMs !== undefined) {
    const width = x(recoveredAtMs) - x(0);
    const title = `not yet recovered: ${formatDuration(recoveredAtMs)}`;
    parts.push(
      `<rect class="outage" x="${x(0)}" y="8" width="${width}" height="${AXIS_Y - 8}"><title>${title}</title></rect>`,
    );
  }
  parts.push(`<path class="axis" d="M${MARGIN} ${AXIS_Y}H${WIDTH - MARGIN}"/>`);
  parts.push(tick('fault', x(0), 'fault'));
  if (detectedAfterMs !== undefined) {
    const title = `detected after ${formatDuration(detectedAfterMs)}`;
    parts.push(
      `<path class="detected" d="M${x(detectedAfterMs)} 8V${AXIS_Y}"><title>${title}</title></path>`,
    );
  }
  if (recoveredAtMs !== undefined) {
    // Too close to the label of the fault: the shading has no label.
    const roomy = x(recoveredAtMs) - x(0) > 170;
    const label = roomy ? `recovered at ${formatDuration(recoveredAtMs)}` : '';
    parts.push(tick('recovered', x(recoveredAtMs), label));
  }
  parts.push(...dots(moments, x));
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Timeline of the scenario">${parts.join('')}</svg>`;
}

function tick(kind: string, x: number, label: string): string {
  const anchor = x < 90 ? 'start' : x > WIDTH - 90 ? 'end' : 'middle';
  const text =
    label === '' ? '' : `<text x="${x}" y="${AXIS_Y + 22}" text-anchor="${anchor}">${label}</text>`;
  return `<path class="${kind}" d="M${x} 8V${AXIS_Y + 6}"/>${text}`;
}

function dots(moments: readonly Moment[], x: (atMs: number) => number): string[] {
  const lastInRow: number[] = [];
  return moments.map(({ atMs }, index) => {
    const at = x(atMs);
    const free = Array.from({ length: ROWS }, (_, row) => row).find(
      (row) => at - (lastInRow[row] ?? -Infinity) >= CROWDED,
    );
    const row = free ?? index % ROWS;
    lastInRow[row] = at;
    const y = AXIS_Y - 14 - row * CROWDED;
    return (
      `<circle cx="${at}" cy="${y}" r="${RADIUS}"/>` +
      `<text x="${at}" y="${y + 3}">${index + 1}</text>`
    );
  });
}
