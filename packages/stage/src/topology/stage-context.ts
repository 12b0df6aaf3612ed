import type { Clock, Random } from '@holdfast/foundation';
import type { Watchdog } from '../watchdog/watchdog.ts';

/** What a stage passes to all of its servers. */
export interface StageContext {
  /** Unique among the stages of this machine. */
  readonly id: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly watchdog: Watchdog;
  /** Whether each server has a fault proxy in front of it. */
  readonly link: boolean;
  readonly readyTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly fetchTimeoutMs: number;
  readonly logMaxBytes: number;
  /** The size of each server's own disk; absent when they use the machine's. */
  readonly diskMaxBytes: number | undefined;
  /** Whether each server has its own wall clock. */
  readonly serverClocks: boolean;
  /** Whether each standalone server has its own network. */
  readonly serverNetworks: boolean;
}
