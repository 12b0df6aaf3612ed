import { propertyOf } from '@holdfast/foundation';
import type { Clock, Random, Timer } from '@holdfast/foundation';
import {
  CLASS_INTERNET,
  type DnsMessage,
  decodeMessage,
  encodeMessage,
  responseCodes,
  typeNumbers,
} from '@holdfast/protocols/dns';
import { NameResourcesError, NameServersFailedError } from '../errors.ts';
import type { NameAnswer } from '../resolver.ts';
import { type ReadAnswer, readAnswer } from './answer.ts';
import type { Channel, OpenChannel } from './channel.ts';
import type { ServerScore } from './server-scores.ts';

export interface QueryDeps {
  readonly open: OpenChannel;
  readonly clock: Clock;
  readonly random: Random;
  readonly counts: QueryCounts;
}

interface QueryCounts {
  queries: number;
  tcpQueries: number;
  hedges: number;
  ignoredAnswers: number;
}

/** A response over UDP may be this long: what fits every path, by the flag day of 2020. */
const UDP_BYTES = 1_232;
const TYPE_OPT = 41;
/** How often all servers are asked when all of them fail. */
const MAX_ROUNDS = 2;
const ROUND_PAUSE_MS = 100;
const FIRST_REPEAT_MS = 500;
const MAX_REPEAT_MS = 4_000;
/** The machine has no room for another socket. */
const resourceCodes = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/**
 * One question to the name servers: the best first, the next when it fails or is slower than usual, and each again while
 * there is time. Whatever answers the question counts until the end, also what comes late from a server that was given up.
 */
export class NameQuery {
  readonly #deps: QueryDeps;
  readonly #hostname: string;
  readonly #family: 4 | 6;
  readonly #settle: (answer: NameAnswer) => void;
  readonly #fail: (error: unknown) => void;
  #waiting: ServerScore[] = [];
  #servers: readonly ServerScore[] = [];
  #attempts = new Map<ServerScore, Attempt>();
  readonly #failures: string[] = [];
  #cause: unknown;
  #rounds = 0;
  #repeatMs = FIRST_REPEAT_MS;
  #timer: Timer | undefined;
  #isOver = false;

  constructor(
    deps: QueryDeps,
    hostname: string,
    family: 4 | 6,
    settle: (answer: NameAnswer) => void,
    fail: (error: unknown) => void,
  ) {
    this.#deps = deps;
    this.#hostname = hostname;
    this.#family = family;
    this.#settle = settle;
    this.#fail = fail;
  }

  start(servers: readonly ServerScore[]): void {
    this.#servers = servers;
    this.#startRound();
  }

  /** No answer is wanted any more. Servers that were slower than usual are remembered for it. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    const nowMs = this.#deps.clock.now();
    for (const [score, attempt] of this.#attempts) {
      if (nowMs - attempt.sentMs >= score.hedgeMs) score.failed(nowMs);
      attempt.close();
    }
    this.#attempts.clear();
  }

  #startRound(): void {
    this.#rounds += 1;
    this.#failures.length = 0;
    this.#waiting = [...this.#servers];
    this.#startNext();
  }

  #startNext(): void {
    const score = this.#waiting.shift();
    if (score === undefined) {
      if (this.#attempts.size === 0) this.#endRound();
      return;
    }
    const attempt = new Attempt(this.#deps, score, this.#hostname, this.#family, {
      onAnswer: (answer) => this.#onAnswer(score, attempt, answer),
      onFailure: (reason, cause) => this.#onFailure(score, reason, cause),
    });
    this.#attempts.set(score, attempt);
    attempt.start();
    this.#arm(score.hedgeMs, () => this.#onSlow());
  }

  #onSlow(): void {
    if (this.#waiting.length > 0) {
      this.#deps.counts.hedges += 1;
      this.#startNext();
      return;
    }
    this.#arm(this.#repeatMs, () => {
      for (const attempt of this.#attempts.values()) attempt.repeat();
      this.#repeatMs = Math.min(2 * this.#repeatMs, MAX_REPEAT_MS);
      this.#onSlow();
    });
  }

  #onAnswer(score: ServerScore, attempt: Attempt, answer: NameAnswer): void {
    score.succeeded(attempt.roundTripMs);
    this.#attempts.delete(score);
    attempt.close();
    this.end();
    this.#settle(answer);
  }

  #onFailure(score: ServerScore, reason: string, cause: unknown): void {
    this.#attempts.get(score)?.close();
    this.#attempts.delete(score);
    const isShort = resourceCodes.has(String(propertyOf(cause, 'code')));
    if (isShort && this.#attempts.size === 0) {
      this.end();
      this.#fail(new NameResourcesError(this.#hostname, cause));
      return;
    }
    if (!isShort) score.failed(this.#deps.clock.now());
    this.#failures.push(`${score.name}: ${reason}`);
    this.#cause = cause;
    if (this.#attempts.size === 0 || this.#waiting.length > 0) this.#startNext();
  }

  #endRound(): void {
    if (this.#rounds < MAX_ROUNDS) {
      this.#arm(ROUND_PAUSE_MS * (0.5 + this.#deps.random()), () => this.#startRound());
      return;
    }
    this.end();
    this.#fail(new NameServersFailedError(this.#hostname, this.#failures, this.#cause));
  }

  #arm(delayMs: number, onDue: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.schedule(delayMs, onDue, { holdsProcess: false });
  }
}

interface AttemptListener {
  onAnswer(answer: NameAnswer): void;
  onFailure(reason: string, cause?: unknown): void;
}

/** One server asked. A repetition is the same message, so that the answer to any of them counts. */
class Attempt {
  readonly #deps: QueryDeps;
  readonly #score: ServerScore;
  readonly #hostname: string;
  readonly #family: 4 | 6;
  readonly #listener: AttemptListener;
  readonly #id: number;
  /** In random letter case, which an honest answer repeats: who cannot see the question has to guess it. */
  readonly #name: string;
  #channel: Channel | undefined;
  #protocol: 'udp' | 'tcp' = 'udp';
  #hasExtension = true;
  #sends = 0;
  sentMs = 0;

  constructor(
    deps: QueryDeps,
    score: ServerScore,
    hostname: string,
    family: 4 | 6,
    listener: AttemptListener,
  ) {
    this.#deps = deps;
    this.#score = score;
    this.#hostname = hostname;
    this.#family = family;
    this.#listener = listener;
    this.#id = Math.floor(deps.random() * 65_536);
    this.#name = withRandomCase(hostname, deps.random);
  }

  /** `undefined` when it is not known which message was answered. */
  get roundTripMs(): number | undefined {
    return this.#sends === 1 ? this.#deps.clock.now() - this.sentMs : undefined;
  }

  start(): void {
    this.sentMs = this.#deps.clock.now();
    this.#open('udp');
  }

  repeat(): void {
    if (this.#protocol === 'udp') this.#send();
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #open(protocol: 'udp' | 'tcp'): void {
    this.close();
    this.#protocol = protocol;
    this.#channel = this.#deps.open(protocol, this.#score.server, {
      onMessage: (bytes) => this.#onMessage(bytes),
      onError: (error) => {
        const code = propertyOf(error, 'code');
        this.#listener.onFailure(typeof code === 'string' ? code : 'no connection', error);
      },
    });
    this.#send();
  }

  #send(): void {
    this.#sends += 1;
    this.#deps.counts.queries += 1;
    if (this.#protocol === 'tcp') this.#deps.counts.tcpQueries += 1;
    this.#channel?.send(questionMessage(this.#id, this.#question(), this.#hasExtension));
  }

  #question(): { name: string; type: number; class: number } {
    const type = this.#family === 4 ? typeNumbers.A : typeNumbers.AAAA;
    return { name: this.#name, type, class: CLASS_INTERNET };
  }

  #onMessage(bytes: Buffer): void {
    const isOurs = bytes.length >= 2 && bytes.readUInt16BE(0) === this.#id;
    let message: DnsMessage;
    let answer: ReadAnswer;
    try {
      message = decodeMessage(bytes);
      if (!isOurs || !this.#isAnswered(message)) {
        this.#deps.counts.ignoredAnswers += 1;
        return;
      }
      answer = readAnswer(message, this.#hostname, this.#family);
    } catch (error) {
      if (isOurs) this.#listener.onFailure('malformed answer', error);
      else this.#deps.counts.ignoredAnswers += 1;
      return;
    }
    const isUdp = this.#protocol === 'udp';
    const [asked] = message.questions;
    // An answer that has lost the letter case may be forged, or from a server that does not keep it: TCP tells.
    const isDoubtful = asked !== undefined && asked.name !== this.#name;
    if (isUdp && isDoubtful) this.#deps.counts.ignoredAnswers += 1;
    if (isUdp && (message.isTruncated || isDoubtful)) this.#open('tcp');
    else if (this.#refusesExtension(message)) this.#repeatPlain();
    else if (answer.kind === 'failed') this.#listener.onFailure(answer.reason);
    else this.#listener.onAnswer(answer);
  }

  /** Servers that cannot read a question say so without repeating it. */
  #isAnswered({ isResponse, opcode, questions, code }: DnsMessage): boolean {
    if (!isResponse || opcode !== 0) return false;
    const [asked] = questions;
    if (asked === undefined) {
      return code !== responseCodes.ok && code !== responseCodes.nameError;
    }
    const { name, type, class: recordClass } = this.#question();
    const isSameName = asked.name.toLowerCase() === name.toLowerCase();
    return (
      questions.length === 1 && isSameName && asked.type === type && asked.class === recordClass
    );
  }

  #refusesExtension({ code }: DnsMessage): boolean {
    const isRefusal = code === responseCodes.formatError || code === responseCodes.notImplemented;
    return this.#hasExtension && isRefusal;
  }

  #repeatPlain(): void {
    this.#hasExtension = false;
    this.#send();
  }
}

function questionMessage(
  id: number,
  question: DnsMessage['questions'][number],
  hasExtension: boolean,
): Buffer {
  const extension = { name: '', type: TYPE_OPT, class: UDP_BYTES, ttlSeconds: 0 };
  return encodeMessage({
    id,
    isResponse: false,
    opcode: 0,
    isAuthoritative: false,
    isTruncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    code: responseCodes.ok,
    questions: [question],
    answers: [],
    authorities: [],
    additionals: hasExtension ? [{ ...extension, data: Buffer.alloc(0) }] : [],
  });
}

function withRandomCase(hostname: string, random: Random): string {
  let name = '';
  for (const letter of hostname) name += random() < 0.5 ? letter : letter.toUpperCase();
  return name;
}
