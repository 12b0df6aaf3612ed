import { type Offence, type Repository, offenceAt } from '../repository.ts';

const README = 'README.md';
const SUITES = /^packages\/suites\/test\/.*\.test\.ts$/;

/** The README's failure table has a row for each scenario of the suites, and no other. */
export function failureTableHasTheSuitesRows(repository: Repository): Offence[] {
  const readme = repository.find(README);
  const promises = repository.files
    .filter(({ path }) => SUITES.test(path))
    .flatMap((file) =>
      [...file.text.matchAll(/^ +promise:\s*'([^']+)'/gm)].map(({ 1: promise = '', index }) => ({
        promise,
        offence: offenceAt(file, index, `is not a row of the README's failure table`),
      })),
    );
  if (promises.length === 0) return [];
  const [before = '', table = ''] = (readme?.text ?? '').split('<!-- scenarios -->');
  const rows = [
    ...table
      .split('<!-- /scenarios -->', 1)
      .join('')
      .matchAll(/^\| ([^|]+) \|/gm),
  ]
    .map(({ 1: promise = '' }) => promise.trim())
    .filter((promise) => promise !== 'Promise' && !/^-+$/.test(promise));
  const line = before.split('\n').length;
  const known = new Set(promises.map(({ promise }) => promise));
  return [
    ...promises.filter(({ promise }) => !rows.includes(promise)).map(({ offence }) => offence),
    ...rows
      .filter((row) => !known.has(row))
      .map((row) => ({ path: README, line, says: `"${row}" is a row without a scenario` })),
  ];
}
