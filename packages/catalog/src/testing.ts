/** For the tests of a catalog's users. */
export { TestDatabase } from './testing/test-database.ts';
