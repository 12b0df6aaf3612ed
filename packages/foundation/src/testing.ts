/** The fake clock, for tests that own the time. */
export { type FakeClock, createFakeClock } from './fake-clock.ts';
