import type { Clock, Timer } from '@holdfast/foundation';
import type { GuardedLink } from './connection/guarded-link.ts';
import { type RedisKeys, nameOf } from './protocol/keys.ts';
import type { PipelineCommand } from './connection/redis-link.ts';
import { EXTEND_TURN, RELEASE_TURN } from './protocol/scripts.ts';

interface SourceTurnsDeps {
  readonly link: GuardedLink;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly node: string;
  readonly turnMs: number;
  readonly streamMaxLength: number;
}

/** The lock of one key, held by this process. */
export interface HeldTurn {
  readonly lock: string;
  readonly token: string;
  /** No longer extended; it ends with its time, or with the script that stores the answer. */
  end(): void;
}

const EXTENSIONS_PER_TURN = 3;

/** Who may ask the source. A turn is extended for as long as its holder lives, and ends soon after it is gone. */
export class SourceTurns {
  readonly #deps: SourceTurnsDeps;
  #count = 0;

  constructor(deps: SourceTurnsDeps) {
    this.#deps = deps;
  }

  /** Differs for each turn, so that the answer to an earlier one is known. */
  nextToken(): string {
    this.#count += 1;
    return `${this.#deps.node}:${this.#count}`;
  }

  claimCommand(key: string, token: string): PipelineCommand {
    const { keys, turnMs } = this.#deps;
    return ['set', keys.lock(key), token, 'PX', turnMs, 'NX'];
  }

  /** After the command has succeeded. */
  hold(key: string, token: string): HeldTurn {
    const { clock, turnMs, keys, link } = this.#deps;
    const lock = keys.lock(key);
    let timer: Timer | undefined;
    const extend = async (): Promise<void> => {
      timer = undefined;
      try {
        const args = [token, turnMs];
        const [reply] = await link.run([{ script: EXTEND_TURN, keys: [lock], args }]);
        if (Array.isArray(reply) && reply[0] === 'lost') isHeld = false;
      } catch {
        // It is tried again, for as long as nobody else has it.
      }
      schedule();
    };
    let isHeld = true;
    const schedule = (): void => {
      if (!isHeld) return;
      const delayMs = Math.floor(turnMs / EXTENSIONS_PER_TURN);
      timer = clock.schedule(delayMs, () => void extend(), { holdsProcess: false });
    };
    schedule();
    return {
      lock,
      token,
      end() {
        isHeld = false;
        timer?.cancel();
      },
    };
  }

  /** Lets another process ask at once. Never rejects. */
  async release(key: string, { lock, token }: HeldTurn): Promise<void> {
    const { link, keys, streamMaxLength, node } = this.#deps;
    const args = [streamMaxLength, node, nameOf(key), token];
    const call = { script: RELEASE_TURN, keys: [keys.stream, lock], args };
    // Without an answer it ends with its time.
    await link.run([call]).catch(() => undefined);
  }
}
