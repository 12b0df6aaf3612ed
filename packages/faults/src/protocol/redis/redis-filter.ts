import { ProtocolError } from '@holdfast/protocols';
import {
  CommandReader,
  type RedisCommand,
  ReplyScanner,
  errorReply,
} from '@holdfast/protocols/redis';
import type { ConnectionIo, ProtocolFilter } from '../../proxy/relay.ts';
import { endsCounting } from './command-flags.ts';

/** What the client gets for a command: the server's reply, an error at once, or an error in the reply's place. */
type ExpectedReply =
  | { readonly kind: 'passed' }
  | { readonly kind: 'refused'; readonly bytes: Buffer }
  | { readonly kind: 'replaced'; readonly bytes: Buffer };

interface RedisFilterDeps {
  readonly maxCommandBytes: number;
  /** How many replies a client may wait for at one time. */
  readonly maxPendingReplies: number;
  /** Returns the error for the command with this number on its connection, or undefined to pass it. */
  readonly refusalOf: (command: RedisCommand, number: number) => string | undefined;
}

const DISCARD = Buffer.from('*1\r\n$7\r\nDISCARD\r\n');

/**
 * Answers some commands of a connection in place of the server. Replies keep the order of their commands, and a
 * transaction with a refused command is refused as a whole, as Redis does it. After a command whose replies cannot
 * be counted (`subscribe`, `monitor`), everything passes.
 */
export class RedisFilter implements ProtocolFilter {
  readonly #io: ConnectionIo;
  readonly #deps: RedisFilterDeps;
  readonly #reader: CommandReader;
  readonly #scanner = new ReplyScanner();
  #expected: ExpectedReply[] = [];
  /** The index at which `#expected` begins; removing from the front of a long array is expensive. */
  #first = 0;
  #commands = 0;
  #transaction: 'none' | 'open' | 'aborted' = 'none';
  #isCounting = true;

  constructor(io: ConnectionIo, deps: RedisFilterDeps) {
    this.#io = io;
    this.#deps = deps;
    this.#reader = new CommandReader(deps.maxCommandBytes);
  }

  fromClient(bytes: Buffer): void {
    if (!this.#isCounting) {
      this.#io.toServer(bytes);
      return;
    }
    for (const command of this.#reader.read(bytes)) {
      if (this.#isCounting) this.#handle(command);
      else this.#io.toServer(command.bytes);
    }
    if (!this.#isCounting) this.#io.toServer(this.#reader.rest());
  }

  fromServer(bytes: Buffer): void {
    if (!this.#isCounting && this.#next() === undefined) {
      this.#io.toClient(bytes);
      return;
    }
    for (const segment of this.#scanner.scan(bytes)) {
      const head = segment.isReply ? this.#next() : undefined;
      if (head?.kind !== 'replaced') this.#io.toClient(segment.bytes);
      else if (segment.isLast) this.#io.toClient(head.bytes);
      if (head === undefined || !segment.isLast) continue;
      this.#shift();
      this.#sendRefusals();
    }
  }

  #handle(command: RedisCommand): void {
    const { name, bytes } = command;
    if (name === '') {
      this.#io.toServer(bytes);
      return;
    }
    this.#commands += 1;
    const before = this.#transaction;
    if (name === 'exec' || name === 'discard' || name === 'reset') this.#transaction = 'none';
    const refusal = this.#deps.refusalOf(command, this.#commands);
    if (name === 'exec' && before !== 'none' && (refusal !== undefined || before === 'aborted')) {
      this.#abortTransaction(refusal);
    } else if (refusal !== undefined) {
      if (before !== 'none') this.#transaction = 'aborted';
      this.#expect({ kind: 'refused', bytes: errorReply(refusal) });
      this.#sendRefusals();
    } else if (endsCounting.has(name) || isReplyMode(command)) {
      this.#isCounting = false;
      this.#io.toServer(bytes);
    } else {
      if (name === 'multi') this.#transaction = 'open';
      this.#expect({ kind: 'passed' });
      this.#io.toServer(bytes);
    }
  }

  #abortTransaction(refusal: string | undefined): void {
    const reason =
      refusal === undefined
        ? 'EXECABORT Transaction discarded because of previous errors.'
        : `EXECABORT Transaction discarded because of: ${refusal}`;
    this.#expect({ kind: 'replaced', bytes: errorReply(reason) });
    this.#io.toServer(DISCARD);
  }

  #expect(reply: ExpectedReply): void {
    const { maxPendingReplies } = this.#deps;
    if (this.#expected.length - this.#first >= maxPendingReplies)
      throw new ProtocolError('Redis', `more than ${maxPendingReplies} commands without a reply`);
    this.#expected.push(reply);
  }

  #next(): ExpectedReply | undefined {
    return this.#expected[this.#first];
  }

  #shift(): void {
    this.#first += 1;
    if (this.#first === this.#expected.length) {
      this.#expected = [];
      this.#first = 0;
    } else if (this.#first > 1_000 && this.#first * 2 > this.#expected.length) {
      this.#expected = this.#expected.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Sends the refusals that no earlier reply precedes any longer. */
  #sendRefusals(): void {
    for (let head = this.#next(); head?.kind === 'refused'; head = this.#next()) {
      this.#io.toClient(head.bytes);
      this.#shift();
    }
  }
}

/** `client reply off` and `client reply skip` suppress replies. */
function isReplyMode({ name, args: [subcommand] }: RedisCommand): boolean {
  return name === 'client' && subcommand?.toString('latin1').toLowerCase() === 'reply';
}
