import { HoldfastError } from '@holdfast/foundation';

/** The alert manager is closed. */
export class AlertsClosedError extends HoldfastError {
  readonly code = 'OPERATIONS_ALERTS_CLOSED';

  constructor() {
    super('the alert manager is closed; make a new one', { outcome: 'not-applied' });
  }
}

/** The receiver of a channel did not take a notification; `retryable` tells whether it may later. */
export class AlertChannelError extends HoldfastError {
  readonly code = 'OPERATIONS_ALERT_CHANNEL_FAILED';
  readonly channel: string;
  /** The HTTP status of the receiver, if it answered. */
  readonly status?: number;

  constructor(
    channel: string,
    reason: string,
    details: {
      readonly retryable: boolean;
      readonly status?: number;
      readonly retryAfterMs?: number;
      readonly cause?: unknown;
    },
  ) {
    const { status, ...rest } = details;
    super(`${channel}: ${reason}`, {
      outcome: status === undefined ? 'unknown' : 'not-applied',
      ...rest,
    });
    this.channel = channel;
    if (status !== undefined) this.status = status;
  }
}

/** A channel did not answer within `sendTimeoutMs`. */
export class AlertChannelTimeoutError extends HoldfastError {
  readonly code = 'OPERATIONS_ALERT_CHANNEL_TIMEOUT';
  readonly channel: string;

  constructor(channel: string, timeoutMs: number) {
    super(`${channel}: no answer in ${timeoutMs} ms; the notification may have arrived`, {
      retryable: true,
      outcome: 'unknown',
    });
    this.channel = channel;
  }
}
