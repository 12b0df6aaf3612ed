import type { PlantedBug } from '../planted-bug.ts';

const GENERATIONS = 'packages/catalog/src/generations';
const SUITES = 'packages/suites/test/catalog-sync';

export const catalogPostgresBugs: readonly PlantedBug[] = [
  {
    name: 'a leader that begins in Postgres does not fence the former ones',
    file: `${GENERATIONS}/postgres/staged-table.ts`,
    sound: 'await tx.query(`update ${tables.fence} set token = $1`, [token]);',
    broken: '',
    tests: { path: `${SUITES}/postgres-generations`, name: 'a leader that begins removes' },
  },
  {
    name: 'a publication whose answer was lost counts as failed',
    file: `${GENERATIONS}/postgres/staged-table.ts`,
    sound: "if (outcome === 'applied') return;",
    broken: '',
    tests: { path: `${SUITES}/postgres-outages`, name: 'a publication whose answer is lost' },
  },
  {
    name: 'a frozen leader keeps the fence in Postgres for as long as its connection lives',
    file: `${GENERATIONS}/postgres/transaction-bounds.ts`,
    sound: '[lockTimeoutMs, timeoutMs / 2]',
    broken: '[lockTimeoutMs, timeoutMs * 1_000]',
    tests: { path: `${SUITES}/postgres-leaders`, name: 'while it holds the fence' },
  },
  {
    name: 'a document that was changed in Postgres is handed out',
    file: `${GENERATIONS}/row-batch.ts`,
    sound: 'if (crc32(document) === Number(checksum)) {',
    broken: 'if (document.length > 0 && checksum !== undefined) {',
    tests: { path: `${SUITES}/postgres-generations`, name: 'a document that was changed' },
  },
  {
    name: 'a lease in Postgres lasts from the answer that proved it',
    file: 'packages/catalog/src/lock/postgres-lock.ts',
    sound: 'this.#provenAtMs = askedAtMs;',
    broken: 'this.#provenAtMs = clock.now() + leaseMs;',
    tests: { path: 'packages/catalog/test/lock/postgres-lock', name: 'from before its call' },
  },
];
