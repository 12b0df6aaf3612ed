import type { DemoFault } from './faults.ts';
import type { DemoLedger, LedgerVerdict } from './ledger.ts';

/** One load at its end. */
export interface LoadOutcome {
  readonly unit: string;
  readonly ledger: DemoLedger;
  readonly verdict: LedgerVerdict;
}

const verbs: Readonly<Record<DemoFault, string>> = {
  kill: 'killed',
  freeze: 'frozen',
  fill: 'filled',
};

/** Whether every promise was kept. */
export function isKept({ verdict }: LoadOutcome): boolean {
  return verdict.lost.length + verdict.doubled.length + verdict.contradicted.length === 0;
}

/** Such as `killed 3, frozen 3, filled 3: lost 0, doubled 0`; the counts are those of the ledgers. */
export function headline(injected: readonly DemoFault[], outcomes: readonly LoadOutcome[]): string {
  const faults = Object.entries(verbs).map(
    ([kind, verb]) => `${verb} ${injected.filter((each) => each === kind).length}`,
  );
  const sum = (count: (verdict: LedgerVerdict) => number): number =>
    outcomes.reduce((total, { verdict }) => total + count(verdict), 0);
  const lost = sum(({ lost: numbers }) => numbers.length);
  const doubled = sum(({ doubled: numbers }) => numbers.length);
  const contradicted = sum(({ contradicted: numbers }) => numbers.length);
  const kept = `lost ${lost}, doubled ${doubled}`;
  // A refusal that was none is as bad, and so rare that only then it is worth a word.
  const more = contradicted === 0 ? '' : `, refused but there ${contradicted}`;
  return `${faults.join(', ')}: ${kept}${more}`;
}

const columns: readonly [title: string, value: (verdict: LedgerVerdict) => number][] = [
  ['accepted', ({ accepted }) => accepted],
  ['in outage', ({ deferred }) => deferred],
  ['lost', ({ lost }) => lost.length],
  ['doubled', ({ doubled }) => doubled.length],
  ['refused', ({ refused }) => refused],
  ['unknown', ({ unknown }) => unknown],
];

/** What became of everything, one row for each load. */
export function summaryTable(outcomes: readonly LoadOutcome[]): string[] {
  const row = (name: string, cells: readonly string[]): string =>
    name.padEnd(8) + cells.map((cell) => cell.padStart(10)).join('');
  return [
    row(
      '',
      columns.map(([title]) => title),
    ),
    ...outcomes.map(({ unit, verdict }) =>
      row(
        unit,
        columns.map(([, value]) => String(value(verdict))),
      ),
    ),
  ];
}

/** Why calls were refused, such as `rows: 53100 (12)`. */
export function refusals(outcomes: readonly LoadOutcome[]): string[] {
  return outcomes.flatMap(({ unit, ledger }) => {
    const reasons = ledger.reasons().map(([reason, count]) => `${reason} (${count})`);
    return reasons.length === 0 ? [] : [`${unit} refused with ${reasons.join(', ')}`];
  });
}
