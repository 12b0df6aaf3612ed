import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a producer in a process of its own is told, as JSON in its argument. */
export interface ProducerOrder {
  readonly url: string;
  readonly directory: string;
  readonly topic: string;
}

export interface ProducerChild {
  /** What the producer was told its queue had accepted, in the order it was told. */
  readonly accepted: AsyncIterable<{ job: number; accepted: string }>;
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
}

/** Starts a process that enqueues numbered jobs, one after the other, until it is killed. */
export function runProducer(order: ProducerOrder): ProducerChild {
  const child = fork(join(import.meta.dirname, 'producer-main.ts'), [JSON.stringify(order)], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
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
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
