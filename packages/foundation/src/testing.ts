/** The fake clock, for tests that own the time. */
export { type FakeClock, createFakeClock } from './timers/fake-clock.ts';
