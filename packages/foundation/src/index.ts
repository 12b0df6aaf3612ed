/**
 * The kernel of all packages: time, random numbers, errors, options, events, abort signals, deadlines and
 * lists. No dependency, no input or output.
 */
export {
  type Backoff,
  type DecorrelatedBackoffOptions,
  type ExponentialBackoffOptions,
  decorrelatedBackoff,
  delayBounds,
  exponentialBackoff,
} from './backoff/backoff.ts';
export { type AbortableCall, AbortNode } from './abort-node.ts';
export { callSafely, describeThrown, isThenable } from './callbacks.ts';
export { CallDeadline, type Cancellation, type Cancellable } from './deadlines/call-deadline.ts';
export { type Clock, type Timer, sleep } from './clock.ts';
export { systemClock } from './timers/system-clock.ts';
export { settlesWithin, withDeadline } from './deadlines/with-deadline.ts';
export { Waiter } from './deadlines/waiter.ts';
export { type QueuedDeadline, DeadlineQueue } from './deadlines/deadline-queue.ts';
export { OLDEST_NODE, UnsupportedNodeError, requireNode } from './engine.ts';
export { environment } from './environment.ts';
export {
  HoldfastError,
  type HoldfastErrorDetails,
  InvalidOptionError,
  type Outcome,
  describeValue,
  isHoldfastError,
} from './errors/errors.ts';
export { errorChain, innerErrorsOf, propertyOf } from './errors/error-chain.ts';
export { hideCredentials, hideValue } from './errors/secrets.ts';
export {
  type Emitter,
  type EventKinds,
  type Subscribe,
  createEmitter,
  nextEvent,
} from './events.ts';
export { type Distribution, type Histogram, createHistogram } from './histogram.ts';
export { KeyedMutex } from './lists/keyed-mutex.ts';
export { LinkedList, ListNode } from './lists/linked-list.ts';
export { RetriedOpening } from './deadlines/retried-opening.ts';
export {
  type OptionRule,
  type ResolvedOptions,
  type OptionsSchema,
  callback,
  boolean,
  objectWith,
  integer,
  object,
  number,
  oneOf,
  optional,
  parseOptions,
  parseOver,
  string,
} from './options.ts';
export { OrderedMap } from './lists/ordered-map.ts';
export { type Random, derivedSeed, seededRandom, systemRandom } from './random.ts';
export { parseRetryAfter, retryAfterMsOf } from './backoff/retry-after.ts';
export {
  type AbortListener,
  abortable,
  addAbortListener,
  onAbort,
  removeAbortListener,
} from './signals.ts';
