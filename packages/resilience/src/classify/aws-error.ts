import { propertyOf } from '@holdfast/foundation';
import type { ErrorKind } from './error-kind.ts';

/** The errors that the AWS SDK's own retry strategy takes for throttling, most of them with HTTP 400. */
const throttling: readonly string[] = [
  'BandwidthLimitExceeded',
  'EC2ThrottledException',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
];

const kindByName: ReadonlyMap<unknown, ErrorKind> = new Map<unknown, ErrorKind>([
  ...throttling.map((name): [string, ErrorKind] => [name, 'rate_limited']),
  // The server waited for the request's body.
  ['RequestTimeout', 'network_timeout'],
  ['RequestTimeoutException', 'network_timeout'],
  ['ConditionalRequestConflict', 'conflict'],
  ['OperationAborted', 'conflict'],
  ['TransactionConflictException', 'conflict'],
  ['TransactionInProgressException', 'conflict'],
]);

/** The kind of an AWS service's error: version 3 of the SDK has its code in `name`, version 2 in `code`. */
export function classifyAwsError(error: object): ErrorKind | undefined {
  if ('$fault' in error || '$metadata' in error) {
    if (propertyOf(propertyOf(error, '$retryable'), 'throttling') === true) return 'rate_limited';
    return kindByName.get(propertyOf(error, 'name'));
  }
  return 'statusCode' in error ? kindByName.get(propertyOf(error, 'code')) : undefined;
}
