import {
  InvalidOptionError,
  type Clock,
  type Random,
  type OptionRule,
  integer,
  number,
  oneOf,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import type { ChunkTransform } from './chunk.ts';

/** Which way bytes go: `toServer` are the client's requests, `toClient` the answers. */
export type Direction = 'toServer' | 'toClient';

/** When a fault is in force, counted from the moment it was set. */
export interface FaultSchedule {
  /** Milliseconds until it begins. Default 0. */
  afterMs?: number;
  /** Milliseconds it stays. Default: until it is cleared. */
  forMs?: number;
  /** Milliseconds from one beginning to the next; needs `forMs`, and more than it. Default: once. */
  everyMs?: number;
}

/** Whom a fault strikes, and when. */
export interface FaultOptions {
  /** Share of the connections it strikes, 0 to 1, drawn once for each. Default 1. */
  probability?: number;
  schedule?: FaultSchedule;
}

/** Whom a fault strikes, when, and which way. */
export interface DirectionalFaultOptions extends FaultOptions {
  /** Default `both`. */
  direction?: Direction | 'both';
}

/** What a fault may do to a connection as a whole. */
export interface FaultableConnection {
  /** RST to both ends. */
  reset(): void;
  /** FIN to both ends, after what was already sent. */
  close(): void;
  /**
   * The server's end is gone by RST and the client is not told. What it returns answers the client's next
   * byte by RST.
   */
  dropServer(): () => void;
}

/** One fault with its options read, ready to strike connections. */
export interface Fault {
  readonly probability: number;
  readonly schedule: FaultSchedule | undefined;
  readonly direction: Direction | 'both';
  /** What it does to bytes on their way; asked once for each direction of each connection. */
  readonly transform?: (random: Random) => ChunkTransform;
  /** Nothing passes while it is in force; the bytes stay where TCP keeps them. */
  readonly holds?: boolean;
  /** New connections are not carried on to the server while it is in force. */
  readonly delaysDial?: boolean;
  /** Acts on a connection when the fault meets it; what it returns is called when the fault goes. */
  readonly applyTo?: (connection: FaultableConnection, clock: Clock) => () => void;
  /** The address refuses connections; what becomes of those that are open. */
  readonly refuses?: 'keep' | 'close' | 'reset';
}

const durationMs = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const scheduleShape = {
  afterMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 }),
  forMs: optional(durationMs),
  everyMs: optional(durationMs),
};

/** Reads the `schedule` of every fault. */
export const scheduleRule: OptionRule<FaultSchedule | undefined> = optional({
  permitted: 'an object',
  parse(value, field, owner) {
    const { afterMs, forMs, everyMs } = parseOptions(owner, scheduleShape, value, field);
    if (everyMs !== undefined && (forMs === undefined || everyMs <= forMs)) {
      throw new InvalidOptionError(owner, `${field}.everyMs`, everyMs, 'more than forMs');
    }
    return {
      afterMs,
      ...(forMs === undefined ? {} : { forMs }),
      ...(everyMs === undefined ? {} : { everyMs }),
    };
  },
});

export const faultShape: {
  readonly probability: OptionRule<number>;
  readonly schedule: OptionRule<FaultSchedule | undefined>;
} = { probability: number({ min: 0, max: 1, default: 1 }), schedule: scheduleRule };

export const directionalShape: typeof faultShape & {
  readonly direction: OptionRule<Direction | 'both'>;
} = {
  ...faultShape,
  direction: oneOf(['both', 'toServer', 'toClient'], 'both'),
};
