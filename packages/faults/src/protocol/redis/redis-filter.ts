import type { ProtocolFilter, ConnectionIo } from '../../proxy/relay.ts';
import { ProtocolError } from '@holdfast/protocols';
import { endsCounting } from './command-flags.ts';
import {
  createCommandReader,
  createReplyScanner,
  type RedisCommand,
} from '@holdfast/protocols/redis';

/** What the client is to get for a command: the server's reply, ours, or ours when the server's comes. */
type Expected =
  | { readonly is: 'passed' }
  | { readonly is: 'answered'; readonly bytes: Buffer }
  | { readonly is: 'replaced'; readonly bytes: Buffer };

export interface RedisInterpreterSetting {
  readonly maxCommandBytes: number;
  /** Replies a client may wait for at one time. */
  readonly maxPendingReplies: number;
  /** The refusal for the command that has this number on its connection, or undefined to let it pass. */
  readonly refusal: (command: RedisCommand, number: number) => string | undefined;
}

const DISCARD = Buffer.from('*1\r\n$7\r\nDISCARD\r\n');

/**
 * Answers some commands of a connection in the server's place. Replies keep the order of their commands,
 * whoever gives them, and a transaction that had a command refused is refused as a whole, as by Redis.
 * From a command on after which replies can no longer be counted (`subscribe`, `monitor`), all passes.
 */
export function createRedisFilter(
  line: ConnectionIo,
  setting: RedisInterpreterSetting,
): ProtocolFilter {
  const reader = createCommandReader(setting.maxCommandBytes);
  const scan = createReplyScanner();
  let expected: Expected[] = [];
  /** Where `expected` begins; taking from the front of a long array is not free. */
  let first = 0;
  let commands = 0;
  let transaction: 'none' | 'open' | 'spoiled' = 'none';
  let isCounting = true;

  const next = (): Expected | undefined => expected[first];
  const settle = (): void => {
    first += 1;
    if (first === expected.length) {
      expected = [];
      first = 0;
    } else if (first > 1_000 && first * 2 > expected.length) {
      expected = expected.slice(first);
      first = 0;
    }
  };
  const flush = (): void => {
    for (let head = next(); head?.is === 'answered'; head = next()) {
      line.toClient(head.bytes);
      settle();
    }
  };
  const expect = (entry: Expected): void => {
    if (expected.length - first >= setting.maxPendingReplies) {
      throw new ProtocolError(
        'Redis',
        `over ${setting.maxPendingReplies} commands without a reply`,
      );
    }
    expected.push(entry);
  };
  const pass = ({ bytes }: RedisCommand): void => {
    expect({ is: 'passed' });
    line.toServer(bytes);
  };
  const discard = (reply: string): void => {
    expect({ is: 'replaced', bytes: errorReply(reply) });
    line.toServer(DISCARD);
  };

  const meet = (command: RedisCommand): void => {
    const { name, bytes } = command;
    if (name === '') {
      line.toServer(bytes);
      return;
    }
    commands += 1;
    const wasIn = transaction;
    if (name === 'exec' || name === 'discard' || name === 'reset') transaction = 'none';
    const refusal = setting.refusal(command, commands);
    if (name === 'exec' && wasIn !== 'none' && (refusal !== undefined || wasIn === 'spoiled')) {
      discard(
        refusal === undefined
          ? 'EXECABORT Transaction discarded because of previous errors.'
          : `EXECABORT Transaction discarded because of: ${refusal}`,
      );
      return;
    }
    if (refusal === undefined && (endsCounting.has(name) || isReplyMode(command))) {
      isCounting = false;
      line.toServer(bytes);
      return;
    }
    if (refusal === undefined) {
      if (name === 'multi') transaction = 'open';
      pass(command);
      return;
    }
    if (wasIn !== 'none') transaction = 'spoiled';
    expect({ is: 'answered', bytes: errorReply(refusal) });
    flush();
  };

  return {
    fromClient(bytes) {
      if (!isCounting) {
        line.toServer(bytes);
        return;
      }
      for (const command of reader.read(bytes)) {
        if (isCounting) meet(command);
        else line.toServer(command.bytes);
      }
      if (!isCounting) line.toServer(reader.rest());
    },
    fromServer(bytes) {
      if (!isCounting && next() === undefined) {
        line.toClient(bytes);
        return;
      }
      for (const segment of scan(bytes)) {
        const head = segment.isReply ? next() : undefined;
        if (head?.is !== 'replaced') line.toClient(segment.bytes);
        else if (segment.isLast) line.toClient(head.bytes);
        if (head === undefined || !segment.isLast) continue;
        settle();
        flush();
      }
    },
  };
}

function errorReply(text: string): Buffer {
  return Buffer.from(`-${text}\r\n`);
}

/** `client reply off` and `skip` take replies away. */
function isReplyMode({ name, args: [subcommand] }: RedisCommand): boolean {
  return name === 'client' && subcommand?.toString('latin1').toLowerCase() === 'reply';
}
