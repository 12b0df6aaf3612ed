import {
  type Clock,
  InvalidOptionError,
  type Random,
  type OptionRule,
  callback,
  integer,
  object,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import type { Journal } from '@holdfast/journal';
import { listOf, recordOf } from '../options/collections.ts';
import {
  ALERT_LEVELS,
  type AlertChannel,
  type AlertLevel,
  type AlertMatcher,
  type AlertSignal,
  type InhibitionRule,
  type Silence,
} from './alerts.ts';

/** The times and channels of a level. All times in milliseconds. */
export interface AlertLevelOptions {
  /** The names of the channels that get the first notification, repeats, updates and the end. Default none. */
  channels?: readonly string[];
  /** How long the first alert of a group waits for others. Default 10 000; critical 1 000. */
  groupWaitMs?: number;
  /** The shortest time between two outages of one group: a flapping one joins. Default 30, 15, 5 minutes; critical 0. */
  throttleMs?: number;
  /** How long nothing of the group may fire before it counts as resolved. Default 60 000. */
  resolveWaitMs?: number;
  /** After what time a group that still fires notifies again, unless acknowledged. Default 4 hours. */
  repeatMs?: number;
  /** The shortest time between notifications of further alerts of a group; 0: none are sent. Default 0. */
  updateMs?: number;
  /** Who is notified when nobody acknowledges. Default: nobody. */
  escalation?: AlertEscalationOptions;
}

/** The further steps of a level. */
export interface AlertEscalationOptions {
  /** How long a step waits for an acknowledgement, in milliseconds. Default 5 minutes. */
  ackTimeoutMs?: number;
  /** The channels of each further step; the first step is the level's own `channels`. */
  steps: readonly (readonly string[])[];
  /** How often all steps are repeated after the last. Default 2. */
  loops?: number;
}

/** Options of `createAlertManager`. All times in milliseconds. */
export interface AlertManagerOptions {
  /** Where notifications are remembered: `openJournal` for a process that restarts, `createMemoryJournal` for none. */
  journal: Journal;
  /** The channels by name. */
  channels: Readonly<Record<string, AlertChannel>>;
  /** The levels. A level without channels notifies nobody. */
  levels?: Readonly<Partial<Record<AlertLevel, AlertLevelOptions>>>;
  /** Alerts with equal values of these labels, and the same level, are one outage. Default `['alertname']`. */
  groupBy?: readonly string[];
  /** Default none. */
  inhibitions?: readonly InhibitionRule[];
  /** Duties that must report by `beat`, and the longest time between two reports; else an alert fires. */
  duties?: Readonly<
    Record<
      string,
      {
        /** The longest time between two reports, in milliseconds. */
        everyMs: number;
        /** The level of its alert. Default: that of other alerts. */
        level?: AlertLevel;
      }
    >
  >;
  /** Called every interval while the manager works, so that an outside service notices when it no longer does. */
  deadMansSwitch?: {
    /** Tells the outside service that the manager works. */
    ping: (options: { signal: AbortSignal }) => Promise<unknown>;
    /** The interval, in milliseconds. */
    everyMs?: number;
  };
  /** The longest that any of the times above may be: what is older is forgotten. Default 5 days. */
  retentionMs?: number;
  /** The most alerts that fire at a time; more are counted, and one alert says so. Default 10 000. */
  maxAlerts?: number;
  /** The deadline of one attempt to send. Default 10 000. */
  sendTimeoutMs?: number;
  /** The longest delay between two attempts, also when the receiver asks for more. Default 60 000. */
  maxRetryDelayMs?: number;
  /** When the attempts end. Default one hour. */
  giveUpAfterMs?: number;
  /** The most notifications that a channel gets in an hour; further ones wait, the urgent ones first. Default 120. */
  maxPerHour?: number;
  /** How long `close` waits for sends on the way. Default 2 000. */
  closeTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const OWNER = 'createAlertManager';
const NAME_LENGTH = 200;
const SUMMARY_LENGTH = 2_000;
const MAX_LABELS = 50;
const MAX_RULES = 1_000;

const name = string({ maxLength: NAME_LENGTH });
const labelValue = string({ minLength: 0, maxLength: NAME_LENGTH });
const time = (fallback: number): OptionRule<number> =>
  integer({ min: 0, max: 365 * DAY_MS, default: fallback });
const duration = (fallback: number): OptionRule<number> =>
  integer({ min: 1, max: 365 * DAY_MS, default: fallback });

const escalationSchema = {
  ackTimeoutMs: duration(300_000),
  steps: listOf(listOf(name, { min: 1, max: 20 }), { min: 1, max: 20 }),
  loops: integer({ min: 0, max: 100, default: 2 }),
};

function levelSchema(defaults: { groupWaitMs: number; throttleMs: number }) {
  return {
    channels: listOf(name, { max: 20, absent: [] }),
    groupWaitMs: time(defaults.groupWaitMs),
    throttleMs: time(defaults.throttleMs),
    resolveWaitMs: time(MINUTE_MS),
    repeatMs: duration(4 * HOUR_MS),
    updateMs: time(0),
    escalation: optional({
      permitted: 'an object with steps',
      parse: (value, field, owner) => parseOptions(owner, escalationSchema, value, field),
    } satisfies OptionRule<ResolvedEscalation>),
  };
}

type ResolvedEscalation = Required<Readonly<AlertEscalationOptions>>;

/** A level with every default filled in. */
export type ResolvedLevel = Readonly<Required<Omit<AlertLevelOptions, 'escalation'>>> & {
  readonly escalation: ResolvedEscalation | undefined;
};

const GROUP_WAIT_MS = 10 * SECOND_MS;
const levelsSchema = {
  critical: object(levelSchema({ groupWaitMs: SECOND_MS, throttleMs: 0 })),
  high: object(levelSchema({ groupWaitMs: GROUP_WAIT_MS, throttleMs: 5 * MINUTE_MS })),
  medium: object(levelSchema({ groupWaitMs: GROUP_WAIT_MS, throttleMs: 15 * MINUTE_MS })),
  low: object(levelSchema({ groupWaitMs: GROUP_WAIT_MS, throttleMs: 30 * MINUTE_MS })),
};

const levelName: OptionRule<AlertLevel> = {
  permitted: `one of ${ALERT_LEVELS.join(', ')}`,
  parse(value, field, owner) {
    const level = ALERT_LEVELS.find((each) => each === value);
    if (level === undefined) throw new InvalidOptionError(owner, field, value, this.permitted);
    return level;
  },
};

const matcherRule: OptionRule<AlertMatcher> = {
  permitted: 'an object of labels, each a value or a list of values',
  parse(value, field, owner) {
    const inner: OptionRule<string | readonly string[]> = {
      permitted: 'a value or a list of values',
      parse: (each, path, by) =>
        typeof each === 'string'
          ? labelValue.parse(each, path, by)
          : listOf(labelValue, { min: 1, max: MAX_RULES }).parse(each, path, by),
    };
    const parsed = recordOf(inner, { max: MAX_LABELS, isRequired: true }).parse(
      value,
      field,
      owner,
    );
    // A matcher of nothing selects every alert: a silence of all is written by a label that all have.
    if (parsed.size === 0) throw new InvalidOptionError(owner, field, value, 'at least one label');
    return Object.fromEntries(parsed);
  },
};

const dutyRule = object({
  everyMs: integer({ min: 1, max: 365 * DAY_MS }),
  level: optional(levelName),
});
const inhibitionRule = object({
  source: matcherRule,
  target: matcherRule,
  equal: listOf(name, { max: MAX_LABELS, absent: [] }),
});
const switchRule = {
  permitted: 'an object with ping',
  parse: (value: unknown, field: string, owner: string) =>
    parseOptions(
      owner,
      {
        ping: callback<NonNullable<AlertManagerOptions['deadMansSwitch']>['ping']>(),
        everyMs: duration(MINUTE_MS),
      },
      value,
      field,
    ),
};

const schema = {
  journal: objectWith<Journal>(['appendAll', 'read', 'release']),
  channels: recordOf(objectWith<AlertChannel>(['send']), { max: 100, isRequired: true }),
  levels: object(levelsSchema),
  groupBy: listOf(name, { max: MAX_LABELS, absent: ['alertname'] }),
  inhibitions: listOf(inhibitionRule, { max: MAX_RULES, absent: [] }),
  duties: recordOf(dutyRule, { max: MAX_RULES }),
  deadMansSwitch: optional(switchRule),
  retentionMs: duration(5 * DAY_MS),
  maxAlerts: integer({ min: 1, max: 1_000_000, default: 10_000 }),
  sendTimeoutMs: duration(10 * SECOND_MS),
  maxRetryDelayMs: duration(MINUTE_MS),
  giveUpAfterMs: duration(HOUR_MS),
  maxPerHour: integer({ min: 1, max: 1_000_000, default: 120 }),
  closeTimeoutMs: time(2 * SECOND_MS),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** The options of `createAlertManager`, with every default filled in. */
export interface ResolvedAlertOptions {
  readonly journal: Journal;
  readonly channels: ReadonlyMap<string, AlertChannel>;
  readonly levels: Readonly<Record<AlertLevel, ResolvedLevel>>;
  readonly groupBy: readonly string[];
  readonly inhibitions: readonly InhibitionRule[];
  readonly duties: ReadonlyMap<
    string,
    { readonly everyMs: number; readonly level: AlertLevel | undefined }
  >;
  readonly deadMansSwitch: Required<NonNullable<AlertManagerOptions['deadMansSwitch']>> | undefined;
  readonly retentionMs: number;
  readonly maxAlerts: number;
  readonly sendTimeoutMs: number;
  readonly maxRetryDelayMs: number;
  readonly giveUpAfterMs: number;
  readonly maxPerHour: number;
  readonly closeTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** @throws InvalidOptionError, also for an unknown channel and for a time that the retention forgets. */
export function parseAlertOptions(given: AlertManagerOptions): ResolvedAlertOptions {
  const options: ResolvedAlertOptions = parseOptions(OWNER, schema, given);
  for (const level of ALERT_LEVELS) checkLevel(level, options);
  return options;
}

function checkLevel(level: AlertLevel, options: ResolvedAlertOptions): void {
  const { channels, escalation, ...times } = options.levels[level];
  const field = `levels.${level}`;
  const known = [...options.channels.keys()].join(', ');
  for (const [index, channel] of [channels, ...(escalation?.steps ?? [])].flat().entries()) {
    if (options.channels.has(channel)) continue;
    const at = index < channels.length ? `${field}.channels` : `${field}.escalation.steps`;
    throw new InvalidOptionError(OWNER, at, channel, `one of the channels (${known})`);
  }
  if (escalation !== undefined && channels.length === 0) {
    throw new InvalidOptionError(
      OWNER,
      `${field}.channels`,
      channels,
      'not empty with an escalation',
    );
  }
  const longest = `less than retentionMs (${options.retentionMs}), after which it is forgotten`;
  for (const key of [
    'groupWaitMs',
    'throttleMs',
    'resolveWaitMs',
    'repeatMs',
    'updateMs',
  ] as const) {
    if (times[key] < options.retentionMs) continue;
    throw new InvalidOptionError(OWNER, `${field}.${key}`, times[key], longest);
  }
  if (escalation === undefined) return;
  const { ackTimeoutMs, steps, loops } = escalation;
  const wholeMs = ackTimeoutMs * (steps.length + 1) * (loops + 1);
  if (wholeMs < options.retentionMs) return;
  throw new InvalidOptionError(OWNER, `${field}.escalation`, wholeMs, `in all ${longest}`);
}

const signalSchema = {
  name,
  labels: recordOf(labelValue, { max: MAX_LABELS }),
  status: optional(string({ maxLength: NAME_LENGTH })),
  level: optional(levelName),
  impact: optional(integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
  summary: optional(string({ minLength: 0, maxLength: SUMMARY_LENGTH })),
};

/** A signal with its level decided. */
export interface ParsedSignal {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isFiring: boolean;
  readonly level: AlertLevel;
  readonly summary: string;
}

/** @throws InvalidOptionError */
export function parseSignal(given: AlertSignal): ParsedSignal {
  const signal = parseOptions('receive', signalSchema, given);
  const { status = 'firing' } = signal;
  if (status !== 'firing' && status !== 'resolved') {
    throw new InvalidOptionError('receive', 'status', status, `'firing' or 'resolved'`);
  }
  return {
    name: signal.name,
    labels: Object.fromEntries(signal.labels),
    isFiring: status === 'firing',
    level: signal.level ?? levelOfImpact(signal.impact ?? 0),
    summary: signal.summary ?? signal.name,
  };
}

const HIGH_IMPACT = 1_000;
const MEDIUM_IMPACT = 100;

function levelOfImpact(impact: number): AlertLevel {
  if (impact > HIGH_IMPACT) return 'high';
  return impact > MEDIUM_IMPACT ? 'medium' : 'low';
}

const silenceSchema = {
  id: name,
  match: matcherRule,
  startsMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  endsMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  comment: string({ minLength: 0, maxLength: SUMMARY_LENGTH }),
};

/** @throws InvalidOptionError, also for a silence that never applies. */
export function parseSilence(given: Silence, nowMs: number): Silence {
  const silence = parseOptions('silence', silenceSchema, given);
  const earliest = Math.max(silence.startsMs, nowMs);
  if (silence.endsMs > earliest) return silence;
  throw new InvalidOptionError('silence', 'endsMs', silence.endsMs, `after ${earliest}`);
}
