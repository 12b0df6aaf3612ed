/** The service as a whole: watched, degraded, healed, scaled, backed up and recovered. */
export type { DurableRunner } from './durable/durable.ts';

// Alerts.
export {
  type AlertChannel,
  type AlertExplanation,
  type AlertIncident,
  type AlertLevel,
  type AlertManager,
  type AlertManagerEvents,
  type AlertManagerStats,
  type AlertMatcher,
  type AlertNotification,
  type AlertReason,
  type AlertReceipt,
  type AlertSignal,
  type InhibitionRule,
  type NotificationKind,
  type Silence,
} from './alerts/alerts.ts';
export { createAlertManager } from './alerts/alert-manager.ts';
export {
  type PagerDutyChannelOptions,
  type SlackChannelOptions,
  type SmsChannelOptions,
  type WebhookChannelOptions,
  pagerDutyChannel,
  slackChannel,
  smsChannel,
  webhookChannel,
} from './alerts/channels/channels.ts';
export { type AlertFetch } from './alerts/channels/http-post.ts';
export { AlertChannelError, AlertChannelTimeoutError, AlertsClosedError } from './alerts/errors.ts';
export {
  type AlertEscalationOptions,
  type AlertLevelOptions,
  type AlertManagerOptions,
} from './alerts/options.ts';
export { alertmanagerConfig, prometheusRules } from './alerts/rules/export-rules.ts';
export {
  type AlertRule,
  type MetricSample,
  type RuleEvaluator,
  createRuleEvaluator,
} from './alerts/rules/rules.ts';
