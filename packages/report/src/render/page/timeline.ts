import { formatDuration } from '../../duration.ts';
import type { LoadSample, Moment, ScenarioRecord } from '../../report.ts';

const WIDTH = 720;
const MARGIN = 24;
const LOAD_HEIGHT = 72;
const GAP = 14;
const EVENTS_HEIGHT = 64;
const LABEL_HEIGHT = 26;
const RADIUS = 8;
/** Moments closer than this are stacked, in as many rows as fit. */
const CROWDED = 2 * RADIUS + 2;
const ROWS = 3;

type Scale = (value: number) => number;

/** The moments of a scenario in order of time. */
export function momentsOf({ timeline }: ScenarioRecord): readonly Moment[] {
  return (timeline ?? []).toSorted((a, b) => a.atMs - b.atMs);
}

/**
 * Draws a scenario on a time axis: the fault shaded, then the recovery, the offered load with its errors, the
 * detection, and each change of state as a number that the list below explains. Empty when nothing was recorded
 * over time.
 */
export function renderTimeline(scenario: ScenarioRecord): string {
  const moments = momentsOf(scenario);
  const load = (scenario.load ?? []).toSorted((a, b) => a.atMs - b.atMs);
  if (moments.length === 0 && load.length === 0) return '';
  const { detectedAfterMs, lastedMs = 0, recoveredAfterMs } = scenario;
  const recoveredAtMs = recoveredAfterMs === undefined ? undefined : lastedMs + recoveredAfterMs;
  // Without a measured end the fault is shaded until the recovery.
  const faultEndsMs = scenario.lastedMs ?? recoveredAtMs ?? 0;
  const times = [...moments, ...load].map(({ atMs }) => atMs);
  const firstMs = Math.min(0, ...times);
  const lastMs = Math.max(lastedMs, detectedAfterMs ?? 0, recoveredAtMs ?? 0, ...times);
  const spanMs = Math.max(lastMs - firstMs, 1);
  const x: Scale = (atMs) =>
    Math.round(MARGIN + ((atMs - firstMs) / spanMs) * (WIDTH - 2 * MARGIN));

  const eventsTop = load.length === 0 ? 8 : 8 + LOAD_HEIGHT + GAP;
  const axisY = eventsTop + EVENTS_HEIGHT;
  const parts = [
    band('outage', x(0), x(faultEndsMs), axisY, `fault for ${formatDuration(faultEndsMs)}`),
    ...(recoveredAtMs === undefined
      ? []
      : [
          band(
            'recovering',
            x(faultEndsMs),
            x(recoveredAtMs),
            axisY,
            `recovery took ${formatDuration(recoveredAtMs - faultEndsMs)}`,
          ),
        ]),
    ...loadChart(load, x, lastMs),
    `<path class="axis" d="M${MARGIN} ${axisY}H${WIDTH - MARGIN}"/>`,
    tick('fault', x(0), axisY, 'fault'),
    ...marks(detectedAfterMs, recoveredAtMs, x, axisY),
    ...dots(moments, x, axisY),
  ];
  const label = describe(scenario, moments.length, load);
  return (
    `<div class="picture" tabindex="0" role="group" aria-label="Timeline">` +
    `<svg viewBox="0 0 ${WIDTH} ${axisY + LABEL_HEIGHT}" role="img" aria-label="${label}">${parts.join('')}</svg></div>`
  );
}

function describe(
  { lastedMs, detectedAfterMs, recoveredAfterMs }: ScenarioRecord,
  changes: number,
  load: readonly LoadSample[],
): string {
  const errors = load.reduce((sum, sample) => sum + sample.errors, 0);
  const offered = load.reduce((sum, sample) => sum + sample.offered, 0);
  const pieces = [
    ...(lastedMs === undefined ? [] : [`fault for ${formatDuration(lastedMs)}`]),
    ...(detectedAfterMs === undefined ? [] : [`detected after ${formatDuration(detectedAfterMs)}`]),
    ...(recoveredAfterMs === undefined
      ? []
      : [`recovered ${formatDuration(recoveredAfterMs)} after it`]),
    ...(load.length === 0 ? [] : [`${offered} offered, ${errors} errors`]),
    `${changes} changes of state`,
  ];
  return `Timeline: ${pieces.join(', ')}`;
}

function band(kind: string, from: number, to: number, axisY: number, title: string): string {
  if (to <= from) return '';
  return `<rect class="${kind}" x="${from}" y="8" width="${to - from}" height="${axisY - 8}"><title>${title}</title></rect>`;
}

/** The offered work as a stepped area, its errors as bars, both per second. */
function loadChart(load: readonly LoadSample[], x: Scale, lastMs: number): string[] {
  if (load.length === 0) return [];
  const bottom = 8 + LOAD_HEIGHT;
  const rates = load.map((sample, index) => {
    const beforeMs =
      load[index - 1]?.atMs ?? sample.atMs - ((load[1]?.atMs ?? lastMs) - sample.atMs);
    const perSecond = 1_000 / Math.max(sample.atMs - beforeMs, 1);
    const { offered, errors } = sample;
    return {
      from: beforeMs,
      to: sample.atMs,
      offered: offered * perSecond,
      errors: errors * perSecond,
    };
  });
  const most = Math.max(1, ...rates.map(({ offered, errors }) => Math.max(offered, errors)));
  const y: Scale = (rate) => Math.round(bottom - (rate / most) * (LOAD_HEIGHT - 22));
  const first = Math.max(x(rates[0]?.from ?? 0), MARGIN);
  const steps = rates.map(({ to, offered }) => `V${y(offered)}H${x(to)}`).join('');
  const bars = rates
    .filter(({ errors }) => errors > 0)
    .map(({ from, to, errors }) => {
      const left = Math.max(x(from), MARGIN);
      return `<rect class="errors" x="${left}" y="${y(errors)}" width="${Math.max(2, x(to) - left)}" height="${bottom - y(errors)}"/>`;
    });
  return [
    `<path class="load" d="M${first} ${bottom}${steps}V${bottom}Z"><title>offered load</title></path>`,
    ...bars,
    `<path class="axis" d="M${MARGIN} ${bottom}H${WIDTH - MARGIN}"/>`,
    `<text x="${MARGIN}" y="20">up to ${Math.round(most)}/s offered${bars.length > 0 ? ', errors in red' : ''}</text>`,
  ];
}

function marks(
  detectedAfterMs: number | undefined,
  recoveredAtMs: number | undefined,
  x: Scale,
  axisY: number,
): string[] {
  const parts: string[] = [];
  if (detectedAfterMs !== undefined) {
    const title = `detected after ${formatDuration(detectedAfterMs)}`;
    parts.push(
      `<path class="detected" d="M${x(detectedAfterMs)} 8V${axisY}"><title>${title}</title></path>`,
    );
  }
  if (recoveredAtMs !== undefined) {
    // Too close to the label of the fault: the shading has no label.
    const roomy = x(recoveredAtMs) - x(0) > 170;
    const label = roomy ? `recovered at ${formatDuration(recoveredAtMs)}` : '';
    parts.push(tick('recovered', x(recoveredAtMs), axisY, label));
  }
  return parts;
}

function tick(kind: string, x: number, axisY: number, label: string): string {
  const anchor = x < 90 ? 'start' : x > WIDTH - 90 ? 'end' : 'middle';
  const text =
    label === '' ? '' : `<text x="${x}" y="${axisY + 20}" text-anchor="${anchor}">${label}</text>`;
  return `<path class="${kind}" d="M${x} 8V${axisY + 6}"/>${text}`;
}

function dots(moments: readonly Moment[], x: Scale, axisY: number): string[] {
  const lastInRow: number[] = [];
  return moments.map(({ atMs }, index) => {
    const at = x(atMs);
    const free = Array.from({ length: ROWS }, (_, row) => row).find(
      (row) => at - (lastInRow[row] ?? -Infinity) >= CROWDED,
    );
    const row = free ?? index % ROWS;
    lastInRow[row] = at;
    const y = axisY - 14 - row * CROWDED;
    return (
      `<circle cx="${at}" cy="${y}" r="${RADIUS}"/>` +
      `<text x="${at}" y="${y + 3}">${index + 1}</text>`
    );
  });
}
