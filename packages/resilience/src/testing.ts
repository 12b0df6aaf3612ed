/** What a test needs to own time. */
export { type FakeClock, createFakeClock } from './fake-clock.ts';
