import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, derivedSeed, seededRandom, sleep, withDeadline } from '@holdfast/foundation';
import type { StageMode } from '@holdfast/stage';
import type { Narrator } from '../terminal/narrator.ts';
import {
  type DemoFault,
  type FaultTrack,
  type Victim,
  faultTexts,
  fillPostgres,
  fillRedis,
  fillS3,
  inject,
  planFaults,
} from './faults.ts';
import type { DemoLedger } from './ledger.ts';
import { openJobLoad } from './loads/job-load.ts';
import { type Load, offer } from './loads/load.ts';
import { openObjectLoad } from './loads/object-load.ts';
import { openRowLoad } from './loads/row-load.ts';
import { type DemoServers, describeServers, openDemoServers } from './servers.ts';
import type { LoadOutcome } from './summary.ts';

interface DemoOptions {
  readonly seed: number;
  /** How long faults are injected, in milliseconds. */
  readonly durationMs: number;
  readonly mode: StageMode | undefined;
  readonly clock: Clock;
  readonly narrator: Narrator;
  /** Ends the demo; it rejects with the signal's reason once nothing of it is left. */
  readonly signal: AbortSignal;
}

interface DemoResult {
  readonly injected: readonly DemoFault[];
  readonly outcomes: readonly LoadOutcome[];
  /** From the first server's readiness to the end of the count. */
  readonly tookMs: number;
}

const RATES: Readonly<Record<string, number>> = { jobs: 60, rows: 40, objects: 30 };
/** How long a server that works again may serve nobody before the demo goes on. */
const RECOVERY_TIMEOUT_MS = 10_000;
/** How long what was accepted may take to arrive. What has not arrived then counts as lost. */
const SETTLE_TIMEOUT_MS = 30_000;

/** Starts servers, breaks them under load, and counts what is kept. Nothing is left when it settles. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { narrator, signal } = options;
  narrator.say('Standing up Redis, Postgres and S3 (the first time they are fetched) ...', 'dim');
  const servers = await openDemoServers(options);
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-demo-'));
  const loads: Load[] = [];
  try {
    for (const line of await describeServers(servers)) narrator.say(`  ${line}`, 'dim', '    ');
    return await new Demo(options, await victimsOf(servers, directory, loads, options.clock)).run();
  } catch (error) {
    // Whatever failed because of it.
    throw signal.aborted ? signal.reason : error;
  } finally {
    await Promise.allSettled(loads.map((load) => load.close()));
    await servers.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** @param opened gets each load as soon as it is open, so that it is closed whatever fails. */
async function victimsOf(
  servers: DemoServers,
  directory: string,
  opened: Load[],
  clock: Clock,
): Promise<Victim[]> {
  const { redis, postgres, s3 } = servers;
  const opening = <L extends Load>(load: L): L => {
    opened.push(load);
    return load;
  };
  const jobs = opening(openJobLoad({ url: redis.url, directory, clock }));
  const rows = opening(await openRowLoad(postgres.primary.url));
  const objects = opening(await openObjectLoad({ server: s3, directory, clock }));
  return [
    { name: 'redis', load: jobs, server: redis, fill: fillRedis(servers) },
    { name: 'postgres', load: rows, server: postgres.primary, fill: fillPostgres(servers) },
    { name: 's3', load: objects, server: s3, fill: fillS3(servers) },
  ];
}

class Demo {
  readonly #options: DemoOptions;
  readonly #victims: readonly Victim[];
  readonly #beganMs: number;

  constructor(options: DemoOptions, victims: readonly Victim[]) {
    this.#options = options;
    this.#victims = victims;
    this.#beganMs = options.clock.now();
  }

  async run(): Promise<DemoResult> {
    const { clock, signal, seed } = this.#options;
    const rates = this.#victims.map(({ load: { unit } }) => `${RATES[unit]} ${unit}`);
    this.#say('', `load: ${rates.join(', ')} a second`);
    const ending = new AbortController();
    const until = AbortSignal.any([signal, ending.signal]);
    const offers = this.#victims.map(({ load }, at) => {
      const random = seededRandom(derivedSeed(seed, at));
      return offer(load, { ratePerSecond: RATES[load.unit] ?? 1, clock, random }, until);
    });
    const injected: DemoFault[] = [];
    const tracks = planFaults(this.#victims, this.#options).map(async (track) => {
      try {
        await this.#play(track, until, (kind) => injected.push(kind));
      } catch (error) {
        // The others end too.
        ending.abort(error);
        throw error;
      }
    });
    const ends = await Promise.allSettled(tracks);
    ending.abort();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    await Promise.all(offers);
    this.#say('', 'load over: looking for everything that was accepted');
    const outcomes = await Promise.all(this.#victims.map(({ load }) => this.#judge(load)));
    return { injected, outcomes, tookMs: clock.now() - this.#beganMs };
  }

  async #play(
    { victim, startMs, slotMs, faults }: FaultTrack,
    signal: AbortSignal,
    onInjected: (kind: DemoFault) => void,
  ): Promise<void> {
    const { clock } = this.#options;
    await sleep(clock, startMs, signal);
    for (const { kind, holdMs } of faults) {
      const fromMs = clock.now();
      await this.#breakOnce(victim, { kind, holdMs }, signal);
      onInjected(kind);
      await sleep(clock, Math.max(0, fromMs + slotMs - clock.now()), signal);
    }
  }

  async #breakOnce(
    victim: Victim,
    { kind, holdMs }: FaultTrack['faults'][number],
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#options;
    const { ledger } = victim.load;
    const undo = await inject(victim, kind);
    const before = { accepted: ledger.accepted, rejected: ledger.rejected };
    const effect = kind === 'fill' ? `: ${victim.fill?.effect}` : '';
    this.#say(victim.name, `${faultTexts[kind].began}${effect}`, 'bad');
    try {
      await sleep(clock, holdMs, signal);
    } catch (error) {
      // It may hold connections, which would keep this process.
      await undo().catch(() => undefined);
      throw error;
    }
    const counts = [`${ledger.accepted - before.accepted} accepted`];
    const rejected = ledger.rejected - before.rejected;
    if (rejected > 0) counts.push(`${rejected} refused`);
    if (ledger.waiting > 0) counts.push(`${ledger.waiting} waited`);
    await undo();
    const servedMs = await this.#untilServed(ledger, signal);
    const served =
      servedMs === undefined ? 'serves nobody yet' : `served in ${Math.round(servedMs)} ms`;
    const text = `${faultTexts[kind].ended}, ${served}; meanwhile ${counts.join(', ')}`;
    this.#say(victim.name, text, servedMs === undefined ? 'bad' : 'good');
  }

  /** Resolves when the server itself takes something again, with the time it took, or without in vain. */
  async #untilServed(ledger: DemoLedger, signal: AbortSignal): Promise<number | undefined> {
    const { clock } = this.#options;
    const fromMs = clock.now();
    let cancel = (): void => undefined;
    const served = new Promise<true>((resolve) => {
      cancel = ledger.onNextDirect(() => resolve(true));
    });
    const late = new AbortController();
    const timeout = sleep(clock, RECOVERY_TIMEOUT_MS, AbortSignal.any([signal, late.signal]));
    try {
      const inTime = await Promise.race([served, timeout.then(() => false)]);
      return inTime ? clock.now() - fromMs : undefined;
    } finally {
      cancel();
      late.abort();
      await timeout.catch(() => undefined);
    }
  }

  async #judge(load: Load): Promise<LoadOutcome> {
    const { unit, ledger } = load;
    const { clock, signal } = this.#options;
    const late = (): Error =>
      new Error(`the ${unit} were not found within ${SETTLE_TIMEOUT_MS} ms`);
    const found = await withDeadline(clock, SETTLE_TIMEOUT_MS, signal, late, (limit) =>
      load.find(limit),
    );
    return { unit, ledger, verdict: ledger.judge(found) };
  }

  #say(who: string, text: string, tone: 'plain' | 'bad' | 'good' = 'plain'): void {
    const { clock, narrator } = this.#options;
    const seconds = ((clock.now() - this.#beganMs) / 1_000).toFixed(1);
    narrator.say(`${seconds.padStart(5)} s  ${who.padEnd(8)}  ${text}`, tone, ' '.repeat(19));
  }
}
