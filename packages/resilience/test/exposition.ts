/** What a scrape gives: the samples by series, and the metrics by name. */
export interface Exposition {
  /** Such as `bulkhead_active{name="portal"}`. */
  readonly samples: ReadonlyMap<string, number>;
  readonly metrics: ReadonlyMap<string, { readonly kind: string; readonly help: string }>;
}

/** Reads the text format of Prometheus, and throws at any line that it does not know or knows already. */
export function readExposition(text: string): Exposition {
  const samples = new Map<string, number>();
  const kinds = new Map<string, string>();
  const helps = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE) (\w+) (.+)$/.exec(line) ?? [];
    if (word === 'HELP') helps.set(name, rest);
    else if (word === 'TYPE') kinds.set(name, rest);
    else add(samples, line);
  }
  const metrics = Array.from(
    kinds,
    ([name, kind]) => [name, { kind, help: helps.get(name) ?? '' }] as const,
  );
  return { samples, metrics: new Map(metrics) };
}

function add(samples: Map<string, number>, line: string): void {
  const [, series, value] = /^(\w+(?:\{.*\})?) (-?[\d.e+-]+)$/.exec(line) ?? [];
  if (series === undefined || samples.has(series)) throw new Error(`not a new sample: ${line}`);
  samples.set(series, Number(value));
}
