import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a producer in a process of its own is told, as JSON in its argument. */
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
  /** How long it rests after each answer. Default not at all. */
  readonly pauseMs?: number;
}

/** What a consumer in a process of its own is told. */
export interface ConsumerChildOptions {
  readonly url: string;
  readonly postgresUrl: string;
  readonly topic: string;
  readonly leaseMs: number;
}

/** What a producer is told whose costs are measured. */
export interface SteadyProducerOptions {
  readonly url: string;
  readonly directory: string;
  readonly topic: string;
  readonly jobsPerSecond: number;
}

/** `mark`: measure from here. `stop`: offer no more. `direct`: answer when Redis has everything. */
export type SteadyProducerRequest = 'mark' | 'stop' | 'direct';

/** What a producer has measured of itself since its mark; what it accepted, since its start. */
export interface EnduranceResult {
  readonly accepted: { readonly journal: number; readonly redis: number };
  readonly refused: readonly string[];
  /** What waits in the journal. */
  readonly depth: number;
  /** By how much its resident memory was larger than at the mark, at its largest. */
  readonly grownBytes: number;
  readonly loopDelayP99Ms: number;
}

export interface Child {
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
}

interface ProducerChild extends Child {
  /** What the producer was told its queue had accepted, in the order it was told. */
  readonly accepted: AsyncIterable<{ job: number; accepted: string }>;
  /** What it has said so far, and nobody has read yet. */
  takeAccepted(): { job: number; accepted: string }[];
}

/** Starts a process that enqueues numbered jobs until it is killed. */
export function runProducer(order: ProducerOptions): ProducerChild {
  const process = run('producer-main.ts', order);
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
          else if (hasEnded) throw new Error('the producer ended by itself');
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      },
    },
    takeAccepted: () => arrived.splice(0),
    kill: () => process.kill(),
  };
}

/** Starts a process that handles jobs until it is killed. `handling` resolves at its next handler. */
export function runConsumer(order: ConsumerChildOptions): Child & { handling(): Promise<void> } {
  const process = run('consumer-main.ts', order);
  return {
    kill: () => process.kill(),
    async handling() {
      await once(process.child, 'message');
    },
  };
}

/** Starts a process that offers jobs numbered from 1 at a steady rate, and measures what that costs it. */
export function runSteadyProducer(
  order: SteadyProducerOptions,
): Child & { ask(question: SteadyProducerRequest): Promise<EnduranceResult> } {
  const process = run('steady-main.ts', order);
  const { child, exited } = process;
  return {
    kill: () => process.kill(),
    async ask(question) {
      const answered = once(child, 'message');
      child.send(question);
      const [answer]: EnduranceResult[] = await Promise.race([answered, exited.then(() => [])]);
      if (answer === undefined) throw new Error('the producer ended by itself');
      return answer;
    },
  };
}

function run(
  main: string,
  order: object,
): { child: ChildProcess; exited: Promise<unknown>; kill(): Promise<void> } {
  const child = fork(join(import.meta.dirname, main), [JSON.stringify(order)], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  // What it said last may still be on its way when it has exited; not when the channel is closed.
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
