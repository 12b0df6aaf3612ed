import type { Clock, Timer } from '../clock.ts';
import { LinkedList, ListNode } from '../lists/linked-list.ts';
import { type TimerHost, currentTimerHost, realNowMs } from './timer-host.ts';

/** The longest delay of `setTimeout`; a longer one would fire at once. */
const HOST_TIMER_MAX_MS = 2_147_483_647;
/** Timers of the process fire up to this much early, because they count whole milliseconds. */
const EARLY_MS = 1;

class ProcessTime {
  readonly #pending = new LinkedList<PendingTimer>();
  #host: TimerHost = currentTimerHost();
  /** What is added to the reading of the host, so that the sum is continuous over a change of hosts. */
  #offsetMs = 0;
  /** The last reading of a host that is not real, and the real time of it. */
  #hostMs = this.#host.nowMs();
  #readAtMs = realNowMs();

  now(): number {
    if (setTimeout !== this.#host.setTimeout) this.#follow();
    if (this.#host.kind === 'real') return this.#host.nowMs() + this.#offsetMs;
    const hostMs = this.#host.nowMs();
    this.#readAtMs = realNowMs();
    // The time of a test begins anew: its earlier timers are gone.
    if (hostMs < this.#hostMs) this.#follow();
    else this.#hostMs = hostMs;
    return this.#hostMs + this.#offsetMs;
  }

  schedule(delayMs: number, callback: () => void, holdsProcess: boolean): Timer {
    const waitMs = Math.max(0, delayMs);
    const timer = new PendingTimer(this, this.now() + waitMs, callback, holdsProcess);
    this.#pending.append(timer);
    timer.arm(this.#host, waitMs);
    return timer;
  }

  cancel(timer: PendingTimer): void {
    // A stale handle must not reach a host that has no such timer.
    if (setTimeout !== this.#host.setTimeout) this.#follow();
    if (this.#pending.remove(timer)) timer.disarm();
  }

  rearm(timer: PendingTimer): void {
    const nowMs = this.now();
    if (this.#host.kind === 'real' || !this.#pending.has(timer)) return;
    timer.arm(this.#host, Math.max(0, timer.dueMs - nowMs));
  }

  /**
   * A timer has fired, so that its time has come whatever the clock reads.
   * @returns whether it was its last hop
   */
  fired(timer: PendingTimer, hopEndMs: number): boolean {
    const behindMs = hopEndMs - this.now();
    if (behindMs > EARLY_MS && this.#host.kind === 'unknown') this.#offsetMs += behindMs;
    if (hopEndMs < timer.dueMs) {
      timer.arm(this.#host, timer.dueMs - hopEndMs);
      return false;
    }
    this.#pending.remove(timer);
    return true;
  }

  /** Moves every pending timer to the timers that the process has now. */
  #follow(): void {
    const lastMs = this.#host.kind === 'real' ? this.#host.nowMs() : this.#hostMs;
    const wasFaked = this.#host.kind !== 'real';
    this.#host = currentTimerHost();
    // When the real timers come back, the real time that has passed unseen counts.
    const unseenMs = wasFaked && this.#host.kind === 'real' ? realNowMs() - this.#readAtMs : 0;
    const nowMs = lastMs + this.#offsetMs + unseenMs;
    this.#hostMs = this.#host.nowMs();
    const offsetMs = nowMs - this.#hostMs;
    // Whole milliseconds of a test stay whole, so that what is due in 1 000 is due after a tick of 1 000.
    this.#offsetMs = this.#host.kind === 'faked' ? Math.ceil(offsetMs) : offsetMs;
    for (const timer of this.#pending) timer.arm(this.#host, Math.max(0, timer.dueMs - nowMs));
  }
}

class PendingTimer extends ListNode implements Timer {
  readonly dueMs: number;
  readonly #time: ProcessTime;
  readonly #callback: () => void;
  readonly #holdsProcess: boolean;
  #host: TimerHost | undefined;
  #handle: NodeJS.Timeout | undefined;
  /** Changes with each arming: an earlier handle that was not cleared has no effect. */
  #arming = 0;

  constructor(time: ProcessTime, dueMs: number, callback: () => void, holdsProcess: boolean) {
    super();
    this.#time = time;
    this.dueMs = dueMs;
    this.#callback = callback;
    this.#holdsProcess = holdsProcess;
  }

  arm(host: TimerHost, delayMs: number): void {
    // Faked timers are gone with their host; to clear one would disturb that of another test.
    if (this.#host === host || this.#host?.kind === 'real') this.disarm();
    const arming = (this.#arming += 1);
    const hopMs = Math.min(delayMs, HOST_TIMER_MAX_MS);
    const hopEndMs = this.dueMs - (delayMs - hopMs);
    const onFired = (): void => {
      if (arming === this.#arming && this.#time.fired(this, hopEndMs)) this.#callback();
    };
    this.#host = host;
    this.#handle = host.arm(onFired, hopMs, this.#holdsProcess);
  }

  disarm(): void {
    this.#arming += 1;
    if (this.#handle !== undefined) this.#host?.clear(this.#handle);
  }

  cancel(): void {
    this.#time.cancel(this);
  }

  rearm(): void {
    this.#time.rearm(this);
  }
}

const time = new ProcessTime();

/**
 * The time of the process. While a test fakes `setTimeout`, it is the time of those timers, whether or not
 * `performance` and `Date` are faked as well; a fake of `performance` or `Date` alone changes no decision. The
 * reading is continuous over each change, and pending timers move to the timers that the process has then.
 */
export const systemClock: Clock = {
  now: () => time.now(),
  epochMs: () => Date.now(),
  schedule: (delayMs, callback, options) =>
    time.schedule(delayMs, callback, options?.holdsProcess ?? true),
};
