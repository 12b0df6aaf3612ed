/**
 * Decides how one call survives. Nothing here opens a socket, reads a clock or rolls a die except
 * through an argument.
 */
export {
  type Backoff,
  type DecorrelatedBackoffOptions,
  type ExponentialBackoffOptions,
  decorrelatedBackoff,
  exponentialBackoff,
} from './backoff.ts';
export { type Random, seededRandom, systemRandom } from './chance.ts';
export { type Clock, type Timer, sleep, systemClock } from './clock.ts';
export {
  HoldfastError,
  type HoldfastErrorDetails,
  InvalidOptionError,
  type Outcome,
  isHoldfastError,
} from './errors.ts';
export { type Announcer, type Listen, createAnnouncer, nextEvent } from './events.ts';
export {
  type Rule,
  type Settled,
  type Shape,
  callback,
  flag,
  having,
  integer,
  nested,
  number,
  oneOf,
  optional,
  readOptions,
  text,
} from './options.ts';
