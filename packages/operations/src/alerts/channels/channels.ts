import {
  InvalidOptionError,
  type OptionRule,
  callback,
  integer,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { recordOf } from '../../options/collections.ts';
import type { AlertChannel, AlertLevel, AlertNotification } from '../alerts.ts';
import { type AlertFetch, postAlert } from './http-post.ts';

const URL_LENGTH = 2_000;
const HEADER_LENGTH = 4_000;
const PAGERDUTY_URL = 'https://events.pagerduty.com/v2/enqueue';
const PAGERDUTY_SUMMARY_LENGTH = 1_024;
const SMS_LENGTH = 160;
const MAX_SMS_LENGTH = 1_600;

const defaultFetch: AlertFetch = (url, init) => fetch(url, init);

/** An address with its scheme checked; the error shows no part of it that may be secret. */
function address(fallback?: string): OptionRule<string> {
  const permitted = `an http or https address of at most ${URL_LENGTH} characters`;
  return {
    permitted,
    parse(value, field, owner) {
      const isAddress =
        typeof value === 'string' &&
        value.length <= URL_LENGTH &&
        URL.canParse(value) &&
        /^https?:$/u.test(new URL(value).protocol);
      if (isAddress) return value;
      throw new InvalidOptionError(owner, field, typeof value, permitted);
    },
    ...(fallback !== undefined && { defaultValue: () => fallback }),
  };
}

/** Options of {@link webhookChannel}. */
export interface WebhookChannelOptions {
  /** The receiver. */
  url: string;
  /** Further headers, such as an authorization. Default none. */
  headers?: Readonly<Record<string, string>>;
  /** Sends the request. Default `fetch`. */
  fetch?: AlertFetch;
}

/**
 * Posts each notification as JSON, with its id as `idempotency-key`.
 * @throws InvalidOptionError
 */
export function webhookChannel(options: WebhookChannelOptions): AlertChannel {
  const schema = {
    url: address(),
    headers: recordOf(string({ minLength: 0, maxLength: HEADER_LENGTH }), { max: 50 }),
    fetch: callback<AlertFetch>(defaultFetch),
  };
  const { url, headers, fetch: send } = parseOptions('webhookChannel', schema, options);
  return {
    send: (notification, { signal }) =>
      postAlert(send, {
        channel: 'webhook',
        url,
        headers: { ...Object.fromEntries(headers), 'idempotency-key': notification.id },
        body: notification,
        signal,
      }),
  };
}

/** Options of {@link slackChannel}. */
export interface SlackChannelOptions {
  /** The address of an incoming webhook; it is a secret. */
  url: string;
  /** Sends the request. Default `fetch`. */
  fetch?: AlertFetch;
}

/** Posts to a Slack incoming webhook. Slack has no key against duplicates. @throws InvalidOptionError */
export function slackChannel(options: SlackChannelOptions): AlertChannel {
  const schema = { url: address(), fetch: callback<AlertFetch>(defaultFetch) };
  const { url, fetch: send } = parseOptions('slackChannel', schema, options);
  return {
    send: (notification, { signal }) =>
      postAlert(send, { channel: 'slack', url, body: { text: slackText(notification) }, signal }),
  };
}

/** What Slack would take as markup is text here. */
function slackText(notification: AlertNotification): string {
  const lines = [
    `*${headline(notification)}*`,
    ...notification.alerts.map(({ name, summary }) => `• ${name}: ${summary}`),
  ];
  return lines.join('\n').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The first line of a notification, for channels of text. */
export function headline({ kind, level, title, firing, incident }: AlertNotification): string {
  const state = kind === 'resolved' ? 'RESOLVED' : level.toUpperCase();
  const more = firing > 1 ? ` (${firing} alerts)` : '';
  return `[${state}] ${title}${more} ${incident}`;
}

/** Options of {@link pagerDutyChannel}. */
export interface PagerDutyChannelOptions {
  /** The integration key of a service. */
  routingKey: string;
  /** Where the incident comes from, as PagerDuty shows it. Default `holdfast`. */
  source?: string;
  /** Default: the public endpoint of Events API v2. */
  url?: string;
  /** Sends the request. Default `fetch`. */
  fetch?: AlertFetch;
}

const severities: Readonly<Record<AlertLevel, string>> = {
  critical: 'critical',
  high: 'error',
  medium: 'warning',
  low: 'info',
};

/**
 * Sends to PagerDuty's Events API v2, with the incident as `dedup_key`: however often it is sent, it is one incident.
 * @throws InvalidOptionError
 */
export function pagerDutyChannel(options: PagerDutyChannelOptions): AlertChannel {
  const schema = {
    routingKey: string({ maxLength: 100 }),
    source: string({ maxLength: 200, default: 'holdfast' }),
    url: address(PAGERDUTY_URL),
    fetch: callback<AlertFetch>(defaultFetch),
  };
  const {
    routingKey,
    source,
    url,
    fetch: send,
  } = parseOptions('pagerDutyChannel', schema, options);
  return {
    send: (notification, { signal }) =>
      postAlert(send, {
        channel: 'pagerduty',
        url,
        body: pagerDutyEvent(notification, routingKey, source),
        signal,
      }),
  };
}

function pagerDutyEvent(
  notification: AlertNotification,
  routingKey: string,
  source: string,
): Record<string, unknown> {
  const event = { routing_key: routingKey, dedup_key: notification.incident };
  if (notification.kind === 'resolved') return { ...event, event_action: 'resolve' };
  return {
    ...event,
    event_action: 'trigger',
    payload: {
      summary: notification.title.slice(0, PAGERDUTY_SUMMARY_LENGTH),
      source,
      severity: severities[notification.level],
      timestamp: new Date(notification.atMs).toISOString(),
      custom_details: {
        ...notification.labels,
        firing: notification.firing,
        alerts: notification.alerts,
      },
    },
  };
}

/** Options of {@link smsChannel}. */
export interface SmsChannelOptions {
  /** Sends one message by whatever gateway; `idempotencyKey` is the same for every attempt. */
  send: (
    message: { readonly to: string; readonly text: string; readonly idempotencyKey: string },
    options: { readonly signal: AbortSignal },
  ) => Promise<unknown>;
  /** One number: each is a channel of its own, so that one that fails is not paid for by the others. */
  to: string;
  /** The longest text, in characters. Default 160. */
  maxLength?: number;
}

/** A text message by a gateway of the caller's. @throws InvalidOptionError */
export function smsChannel(options: SmsChannelOptions): AlertChannel {
  const schema = {
    send: callback<SmsChannelOptions['send']>(),
    to: string({ maxLength: 100 }),
    maxLength: integer({ min: 20, max: MAX_SMS_LENGTH, default: SMS_LENGTH }),
  };
  const { send, to, maxLength } = parseOptions('smsChannel', schema, options);
  return {
    send: (notification, { signal }) => {
      const text = headline(notification).slice(0, maxLength).toWellFormed();
      return send({ to, text, idempotencyKey: notification.id }, { signal });
    },
  };
}
