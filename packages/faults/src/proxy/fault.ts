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

/** The direction of bytes: `toServer` for requests, `toClient` for responses. */
export type Direction = 'toServer' | 'toClient';

/** When a fault is active, counted from the moment it was set. */
export interface FaultSchedule {
  /** Milliseconds until it becomes active. Default 0. */
  afterMs?: number;
  /** Milliseconds it stays active. Default: until it is cleared. */
  forMs?: number;
  /** The period in milliseconds; needs a smaller `forMs`. Default: once. */
  everyMs?: number;
}

/** Which connections a fault applies to, and when. */
export interface FaultOptions {
  /** The share of the connections, 0 to 1, drawn once for each. Default 1. */
  probability?: number;
  /** When the fault is in force. Default: until it is cleared. */
  schedule?: FaultSchedule;
}

/** Which connections and which direction a fault applies to, and when. */
export interface DirectionalFaultOptions extends FaultOptions {
  /** Default `both`. */
  direction?: Direction | 'both';
}

/** What a fault can do to a connection as a whole. */
export interface FaultableConnection {
  /** Sends RST to both ends. */
  reset(): void;
  /** Sends FIN to both ends, after what was already sent. */
  close(): void;
  /**
   * Resets the server's end without the client noticing. Returns a function after which the client's next byte is
   * answered by RST.
   */
  dropServer(): () => void;
}

/** One fault with its options resolved. */
export interface Fault {
  readonly probability: number;
  readonly schedule: FaultSchedule | undefined;
  readonly direction: Direction | 'both';
  /** Creates what it does to bytes; called once for each direction of each connection. */
  readonly transform?: (random: Random) => ChunkTransform;
  /** Nothing passes while it is active; TCP keeps the bytes. */
  readonly holds?: boolean;
  /** The server is not dialed for new connections while it is active. */
  readonly delaysDial?: boolean;
  /** Acts on a connection when the fault becomes active; the returned function is called when it ends. */
  readonly applyTo?: (connection: FaultableConnection, clock: Clock) => () => void;
  /** The address refuses connections; the value says what happens to open ones. */
  readonly refuses?: 'keep' | 'close' | 'reset';
}

const durationMs = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const scheduleShape = {
  afterMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 }),
  forMs: optional(durationMs),
  everyMs: optional(durationMs),
};

/** Accepts the `schedule` of a fault. */
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
