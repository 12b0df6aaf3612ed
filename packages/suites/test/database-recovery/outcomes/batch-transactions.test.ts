import { expect } from '@jest/globals';
import { BatchFailedError, type Database } from '@holdfast/database';
import { openPostgresFixture } from '../../../src/database/postgres-fixture.ts';
import { scenario } from '../../../src/database/scenario.ts';

const FAIL = 'select 1/0';
const begins = ['begin', 'begin; +', '+; start transaction'];
const middles = [[], ['+'], ['+', FAIL], ['savepoint s', `+; ${FAIL}`, 'rollback to s', '+']];
const ends = [
  'commit',
  'commit and chain',
  'commit; begin',
  'end; +; begin',
  'commit; +',
  'end; start transaction; +',
  `commit and chain; ${FAIL}`,
  `commit; ${FAIL}`,
  'rollback and chain',
  'rollback; begin; +',
  "prepare transaction 'never'",
  'begin; savepoint s; +; rollback to s; commit; +; begin; +',
];
const afters = [[], ['+'], ['+', 'commit'], ['+', FAIL, 'end'], ['+', 'rollback']];

/** Every batch of a beginning, statements, an end and what comes after it. A `+` is an insert of a value of its own. */
function batches(): string[][] {
  const combined = begins.flatMap((begin) =>
    middles.flatMap((middle) =>
      ends.flatMap((end) => afters.map((after) => [[begin], middle, [end], after].flat())),
    ),
  );
  const others = [
    ['begin', `+; savepoint s; ${FAIL}`, 'rollback to s', 'commit'],
    ['begin', '+', 'savepoint s', FAIL, 'rollback to savepoint s; +', 'commit; +'],
    ['begin', 'insert into d values (1), (1)', '+', 'commit'],
    ['begin', 'insert into d values (1), (1)', '+', 'commit and chain', '+', 'commit'],
    ['+', FAIL, '+; commit; +; begin; +', '+', 'commit'],
  ];
  return [...combined, ...others].map((texts, batch) =>
    texts.map((text, at) => {
      let part = 0;
      return text.replaceAll('+', () => `insert into w values ('${batch}.${at}.${(part += 1)}')`);
    }),
  );
}

function valuesOf(text: string): string[] {
  return [...text.matchAll(/'(\d+\.\d+\.\d+)'/g)].map(([, value]) => String(value));
}

interface Answer {
  readonly batch: readonly string[];
  readonly text: string;
  readonly result: PromiseSettledResult<unknown>;
}

/** What was said of a text that its rows contradict, or that leaves open what is certain. */
function lieOf({ batch, text, result }: Answer, kept: ReadonlySet<string>): string | undefined {
  const said = result.status === 'fulfilled' ? 'fulfilled' : String(result.reason.outcome);
  const values = valuesOf(text);
  const rows = values.filter((value) => kept.has(value)).length;
  if (values.length === 0 || (said === 'not-applied' && rows === 0)) return undefined;
  // What a text ends may differ from what it begins.
  if (said === 'unknown' && /\b(?:commit|end|rollback|savepoint)\b/.test(text)) return undefined;
  // What was rolled back on request is no failure.
  const isAsked = batch.some((each) => /\brollback\b/.test(each));
  if (said === 'fulfilled' && (rows === values.length || isAsked)) return undefined;
  return `${said}, ${rows} of ${values.length} rows: ${text} in ${batch.join(' | ')}`;
}

scenario(
  {
    promise:
      'of each statement of a batch the outcome agrees with the rows, however its transactions end',
    fault:
      'errors before commit, end, and chain, prepare transaction and savepoints; deferred constraints',
  },
  async () => {
    const fixture = await openPostgresFixture();
    await fixture.ask('create table w (v text not null)');
    await fixture.ask('create table d (a int unique deferrable initially deferred)');
    return fixture;
  },
  async (fixture) => {
    const db = fixture.database({ max: 1 });
    const answers: Answer[] = [];
    for (const batch of batches()) {
      const results = await resultsOf(db, batch);
      answers.push(...results.map((result, at) => ({ batch, text: batch[at] ?? '', result })));
    }
    const rows = await fixture.ask('select v from w');
    const kept = new Set(rows.map(({ v }) => String(v)));
    const lies = answers.flatMap((each) => lieOf(each, kept) ?? []);
    expect(lies.slice(0, 5)).toEqual([]);
    return { accepted: answers.length, delivered: answers.length, note: `${kept.size} rows` };
  },
);

function resultsOf(
  db: Database,
  batch: readonly string[],
): Promise<readonly PromiseSettledResult<unknown>[]> {
  return db.batch(batch.map((text) => ({ text }))).then(
    (values) => values.map((value) => ({ status: 'fulfilled', value }) as const),
    (error: unknown) => {
      if (error instanceof BatchFailedError) return error.results;
      throw error;
    },
  );
}
