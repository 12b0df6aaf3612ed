import type { Clock } from '@holdfast/foundation';
import { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
import { ClientConnection } from '../client-connection.ts';
import type { RequiredOptions } from '../connector.ts';
import type { NatMap, ResolvedAddress, ResolvedLogin } from '../server-options.ts';

/** Runs one command on a server, on its own connection, within `limitMs`. @throws BackendError */
export async function runOnce(
  options: RequiredOptions & ResolvedAddress & LoginOptions,
  command: readonly [string, ...string[]],
  { clock, limitMs }: { clock: Clock; limitMs: number },
): Promise<unknown> {
  const connection = new ClientConnection(new Redis(options), clock);
  try {
    return await connection.call(limitMs, async (client) => {
      await client.connect();
      const [name, ...args] = command;
      return client.call(name, ...args);
    });
  } finally {
    connection.disconnect(new BackendError('unreachable', 'Redis: the command has ended'));
  }
}

/**
 * Combines the answers of several servers to one question.
 * @returns the answer of more than half of them; else, when all have settled, the most frequent answer.
 * @throws BackendError when nobody had an answer.
 */
export function majorityAnswer(answers: readonly Promise<string | undefined>[]): Promise<string> {
  const votes = new Map<string, number>();
  const failures: unknown[] = [];
  let left = answers.length;
  return new Promise((resolve, reject) => {
    const count = (): void => {
      const [most] = [...votes].toSorted(([, one], [, other]) => other - one);
      if (most !== undefined && (left === 0 || most[1] > answers.length / 2)) resolve(most[0]);
      else if (left === 0) reject(noQuorum(failures));
    };
    for (const answer of answers) {
      answer
        .then(
          (value) => {
            if (value !== undefined) votes.set(value, (votes.get(value) ?? 0) + 1);
          },
          (error: unknown) => failures.push(error),
        )
        .finally(() => {
          left -= 1;
          count();
        });
    }
  });
}

function noQuorum(failures: readonly unknown[]): BackendError {
  // A rejection is more useful than a timeout, because an operator may have to act on it.
  const rejection = failures.find(
    (failure) => failure instanceof BackendError && failure.errorClass === 'denied',
  );
  const failure = rejection ?? failures[0];
  const errorClass = rejection === undefined ? 'unreachable' : 'denied';
  const seen = failure instanceof BackendError ? failure.message : 'they know of none';
  return new BackendError(
    errorClass,
    `Redis: nobody asked could name the server (${seen})`,
    failure,
  );
}

/** The address under which this process reaches a server that others know by another one. */
export function translate(natMap: NatMap, address: ResolvedAddress): ResolvedAddress {
  return natMap.get(`${address.host}:${address.port}`) ?? address;
}

export function addressText({ host, port }: ResolvedAddress): string {
  return `${host} ${port}`;
}

export function parseAddress(text: string): ResolvedAddress {
  const [host = '', port = ''] = text.split(' ');
  return { host, port: Number(port) };
}

/** The login options of ioredis. */
interface LoginOptions {
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
