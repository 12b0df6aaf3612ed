/**
 * Time, chance, errors and options alone: what a program needs that must be up within milliseconds and has
 * no call of its own to save. Nothing is here that the package's index does not have as well.
 */
export { type Random, seededRandom, systemRandom } from './chance.ts';
export { type Clock, type Timer, sleep, systemClock } from './clock.ts';
export { HoldfastError, InvalidOptionError, isHoldfastError } from './errors.ts';
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
