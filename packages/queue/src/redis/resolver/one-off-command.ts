import type { Clock } from '@holdfast/foundation';
import { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
import { Connection } from '../connection/connection.ts';
import type { RequiredOptions } from '../connection/connector.ts';
import type { ResolvedAddress, ResolvedLogin } from '../server-options.ts';

/** Asks one server one thing on a connection of its own, within `limitMs`. @throws BackendError */
export async function runOnce(
  options: RequiredOptions & ResolvedAddress & LoginOptions,
  command: readonly [string, ...string[]],
  { clock, limitMs }: { clock: Clock; limitMs: number },
): Promise<unknown> {
  const connection = new Connection(new Redis(options), clock);
  try {
    return await connection.call(limitMs, async (client) => {
      await client.connect();
      const [name, ...words] = command;
      return client.call(name, ...words);
    });
  } finally {
    connection.disconnect(new BackendError('unreachable', 'Redis: asked'));
  }
}

/** What several servers, asked the same, say: the answer of more than half of them, else of the most. */
export function majorityAnswer(answers: readonly Promise<string | undefined>[]): Promise<string> {
  const votes = new Map<string, number>();
  const failures: unknown[] = [];
  let left = answers.length;
  return new Promise((resolve, reject) => {
    const judge = (): void => {
      const [most] = [...votes].toSorted(([, one], [, other]) => other - one);
      if (most !== undefined && (left === 0 || most[1] > answers.length / 2)) resolve(most[0]);
      else if (left === 0) reject(nobodyKnows(failures));
    };
    for (const answer of answers) {
      answer
        .then(
          (said) => {
            if (said !== undefined) votes.set(said, (votes.get(said) ?? 0) + 1);
          },
          (error: unknown) => failures.push(error),
        )
        .finally(() => {
          left -= 1;
          judge();
        });
    }
  });
}

function nobodyKnows(failures: readonly unknown[]): BackendError {
  // A refusal says more than silence: somebody may have to act on it.
  const refusal = failures.find(
    (failure) => failure instanceof BackendError && failure.errorClass === 'denied',
  );
  const [failure = refusal] = refusal === undefined ? failures : [refusal];
  const errorClass = refusal === undefined ? 'unreachable' : 'denied';
  const seen = failure instanceof BackendError ? failure.message : 'they know of none';
  return new BackendError(
    errorClass,
    `Redis: nobody asked could name the server (${seen})`,
    failure,
  );
}

export function addressText({ host, port }: ResolvedAddress): string {
  return `${host} ${port}`;
}

export function addressOf(said: string): ResolvedAddress {
  const [host = '', port = ''] = said.split(' ');
  return { host, port: Number(port) };
}

/** A login as ioredis wants it. */
export interface LoginOptions {
  readonly username?: string;
  readonly password?: string;
  readonly tls?: object;
}

export function loginOptions({ username, password, tls }: ResolvedLogin): LoginOptions {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
  };
}
