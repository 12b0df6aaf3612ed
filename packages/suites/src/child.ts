import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ProcessOptions, QueueOptions } from '@holdfast/queue';

/** Options of a producer in a child process, passed as JSON in its argument. */
export interface ProducerOptions {
  readonly url: string;
  readonly directory: string;
  readonly topic: string;
  /** The number of its first job. Default 1. */
  readonly from?: number;
  /** Default 'redis'. */
  readonly acknowledge?: 'local' | 'redis';
  /** How many jobs it may wait for at a time. Default 1. */
  readonly inFlight?: number;
  /** Pause after each accepted job. Default none. */
  readonly pauseMs?: number;
}

/** Options of a consumer in a child process. */
export interface ConsumerChildOptions {
  readonly url: string;
  readonly postgresUrl: string;
  readonly topic: string;
  readonly leaseMs: number;
}

/** Options of a consumer whose handler ends its process when the payload says so. */
export interface CrashingConsumerOptions {
  readonly url: string;
  readonly topic: string;
  readonly leaseMs: number;
  /** What stores the jobs. */
  readonly store: 'redis' | 'bullmq';
  readonly process?: ProcessOptions;
}

/** Options of a consumer that is stopped for a while. */
export interface SuspendedConsumerOptions {
  readonly url: string;
  readonly topic: string;
  readonly topics?: QueueOptions['topics'];
  /** How long each handler takes. */
  readonly handlerMs: number;
  readonly process: ProcessOptions;
}

/** Options of a producer that measures its own costs. */
export interface SteadyProducerOptions {
  readonly url: string;
  readonly directory: string;
  readonly topic: string;
  readonly jobsPerSecond: number;
}

/** `mark` starts the measurement, `stop` ends the load, `direct` is answered once Redis has every job. */
export type SteadyProducerRequest = 'mark' | 'stop' | 'direct';

/** What a producer has measured since its mark. The accepted jobs count from its start. */
export interface EnduranceResult {
  readonly accepted: { readonly journal: number; readonly redis: number };
  readonly refused: readonly string[];
  /** Jobs in the journal. */
  readonly depth: number;
  /** The largest growth of resident memory since the mark. */
  readonly grownBytes: number;
  readonly loopDelayP99Ms: number;
}

export interface Child {
  /** Sends SIGKILL; resolves once the process has exited. */
  kill(): Promise<void>;
}

interface ProducerChild extends Child {
  /** The accepted jobs that the producer reported, in the order of its reports. */
  readonly accepted: AsyncIterable<{ job: number; accepted: string }>;
  /** Takes the reports that have arrived and were not read yet. */
  takeAccepted(): { job: number; accepted: string }[];
}

/** Starts a process that enqueues numbered jobs until it is killed. */
export function runProducer(options: ProducerOptions): ProducerChild {
  const process = run('producer-main.ts', options);
  const { child, exited } = process;
  const arrived: { job: number; accepted: string }[] = [];
  let wake: () => void = () => undefined;
  let hasEnded = false;
  child.on('message', (message: { job: number; accepted: string }) => {
    arrived.push(message);
    wake();
  });
  void exited.then(() => {
    hasEnded = true;
    wake();
  });
  return {
    accepted: {
      async *[Symbol.asyncIterator]() {
        while (true) {
          const next = arrived.shift();
          if (next !== undefined) yield next;
          else if (hasEnded) throw new Error('the producer exited without being killed');
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      },
    },
    takeAccepted: () => arrived.splice(0),
    kill: () => process.kill(),
  };
}

/** Starts a process that handles jobs until it is killed. `handling` resolves when its next handler starts. */
export function runConsumer(options: ConsumerChildOptions): Child & { handling(): Promise<void> } {
  const process = run('consumer-main.ts', options);
  return {
    kill: () => process.kill(),
    async handling() {
      await once(process.child, 'message');
    },
  };
}

/** Starts a process that handles jobs until one of them ends it; `died` resolves then. */
export function runCrashingConsumer(
  options: CrashingConsumerOptions,
): Child & { readonly handled: string[]; readonly died: Promise<unknown> } {
  const process = run('consumers/crashing-main.ts', options, 'ignore');
  const { child, exited } = process;
  const handled: string[] = [];
  child.on('message', (id: string) => handled.push(id));
  return { handled, died: exited, kill: () => process.kill() };
}

/** Starts a process that reports the payload of each job it starts, and can be stopped. */
export function runSuspendedConsumer(
  options: SuspendedConsumerOptions,
): Child & { readonly started: unknown[]; suspend(): void; resume(): void } {
  const process = run('consumers/suspended-main.ts', options);
  const started: unknown[] = [];
  process.child.on('message', (payload) => started.push(payload));
  return {
    started,
    suspend: () => void process.child.kill('SIGSTOP'),
    resume: () => void process.child.kill('SIGCONT'),
    kill: () => process.kill(),
  };
}

/** Starts a process that offers jobs numbered from 1 at a steady rate, and measures its memory and event loop. */
export function runSteadyProducer(
  options: SteadyProducerOptions,
): Child & { ask(question: SteadyProducerRequest): Promise<EnduranceResult> } {
  const process = run('steady-main.ts', options);
  const { child, exited } = process;
  return {
    kill: () => process.kill(),
    async ask(question) {
      const answered = once(child, 'message');
      child.send(question);
      const [answer]: EnduranceResult[] = await Promise.race([answered, exited.then(() => [])]);
      if (answer === undefined) throw new Error('the producer exited without being killed');
      return answer;
    },
  };
}

function run(
  main: string,
  options: object,
  stderr: 'inherit' | 'ignore' = 'inherit',
): { child: ChildProcess; exited: Promise<unknown>; kill(): Promise<void> } {
  const child = fork(join(import.meta.dirname, main), [JSON.stringify(options)], {
    execArgv: [],
    stdio: ['ignore', 'inherit', stderr, 'ipc'],
  });
  // The last messages may arrive after the exit, but not after the channel is closed.
  const exited = Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
  return {
    child,
    exited,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
