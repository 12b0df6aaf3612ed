import { setImmediate as nextTurn } from 'node:timers/promises';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { type Journal, createMemoryJournal } from '@holdfast/journal';
import {
  type AlertChannel,
  type AlertManager,
  type AlertManagerOptions,
  type AlertNotification,
  createAlertManager,
} from '@holdfast/operations';

/** A manager on a fake clock, with channels that note what they get. */
export interface World {
  readonly clock: FakeClock;
  readonly journal: Journal;
  readonly manager: AlertManager;
  /** What each channel got, in order. */
  readonly got: Record<string, AlertNotification[]>;
  /** What a channel does with its next notifications, by its name. */
  readonly behave: Record<string, AlertChannel['send']>;
  /** Lets this much time pass, in steps after which all that is due has been done. */
  advance(byMs: number): Promise<void>;
  /** Closes the manager and opens another one on the same journal. */
  restart(): Promise<World>;
}

const MIN_STEP_MS = 100;
const MAX_STEPS = 400;
const TURNS_A_STEP = 5;
const CHANNELS = ['pager', 'chat', 'manager', 'mail'];

/** A world with these options over the defaults of the tests. */
export async function openWorld(
  options: Partial<AlertManagerOptions> = {},
  before?: Pick<World, 'clock' | 'journal' | 'got' | 'behave'>,
): Promise<World> {
  const { clock, journal, got, behave } = before ?? {
    clock: createFakeClock(),
    journal: createMemoryJournal(),
    got: Object.fromEntries(CHANNELS.map((name) => [name, []])),
    behave: {},
  };
  const channels = Object.fromEntries(
    CHANNELS.map((name): [string, AlertChannel] => [
      name,
      {
        async send(notification, context) {
          await behave[name]?.(notification, context);
          got[name]?.push(notification);
        },
      },
    ]),
  );
  const manager = await createAlertManager({
    journal,
    channels,
    levels: {
      critical: {
        channels: ['pager'],
        groupWaitMs: 1_000,
        resolveWaitMs: 10_000,
        repeatMs: 3_600_000,
        escalation: { ackTimeoutMs: 300_000, steps: [['manager']], loops: 1 },
      },
      low: { channels: ['mail'], groupWaitMs: 0, throttleMs: 60_000, resolveWaitMs: 1_000 },
      high: { channels: ['chat'], groupWaitMs: 0, throttleMs: 0, updateMs: 60_000 },
    },
    clock,
    random: () => 0.5,
    ...options,
  });
  const world = { clock, journal, manager, got, behave };
  return {
    ...world,
    async advance(byMs) {
      const stepMs = Math.max(MIN_STEP_MS, Math.ceil(byMs / MAX_STEPS));
      await turns();
      for (let leftMs = byMs; leftMs > 0; leftMs -= stepMs) {
        await clock.advance(Math.min(leftMs, stepMs));
        await turns();
      }
    },
    async restart() {
      await turns();
      await clock.settle(manager.close());
      return openWorld(options, world);
    },
  };
}

/** Kind and step of each notification that a channel got. */
export function kindsOf(world: World, channel: string): string[] {
  return (world.got[channel] ?? []).map(({ kind, step }) => `${kind} ${step}`);
}

/** The journal in memory answers after a turn, and so does each of what waits for it. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS_A_STEP; turn += 1) await nextTurn();
}
