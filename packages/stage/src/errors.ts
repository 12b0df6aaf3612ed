import { HoldfastError, isHoldfastError } from '@holdfast/resilience/foundation';
import type { StageMode } from './stage.ts';

/** The mode that was asked for cannot stand on this machine. */
export class StageModeError extends HoldfastError {
  readonly code = 'STAGE_MODE_UNAVAILABLE';
  readonly mode: StageMode;

  /**
   * @param why what was seen.
   * @param wayOut what the caller can do about it.
   */
  constructor(mode: StageMode, why: string, wayOut: string, cause?: unknown) {
    super(`openStage: mode '${mode}' cannot stand here: ${why}. ${wayOut}`, {
      cause,
      outcome: 'not-applied',
    });
    this.mode = mode;
  }
}

/** This Node is older than what the stage runs on; nothing was started. */
export class StageEngineError extends HoldfastError {
  readonly code = 'STAGE_ENGINE_TOO_OLD';
  /** The version of the Node that runs. */
  readonly seen: string;
  /** The oldest version that will do. */
  readonly needed: string;

  constructor(attempted: string, seen: string, needed: string) {
    super(
      `${attempted}: this is Node ${seen}, and the stage needs Node ${needed} or newer; nothing was ` +
        `started. Run it with a newer Node`,
      { outcome: 'not-applied' },
    );
    this.seen = seen;
    this.needed = needed;
  }
}

/** A verb was called on a server in a state that does not allow it; nothing was done. */
export class StageStateError extends HoldfastError {
  readonly code = 'STAGE_STATE';
  readonly server: string;
  readonly verb: string;
  /** The state the server is in. */
  readonly state: string;
  /** The states the verb needs. */
  readonly needed: readonly string[];

  constructor(server: string, verb: string, state: string, needed: readonly string[]) {
    super(`${server}.${verb}() needs the server to be ${needed.join(' or ')}, but it is ${state}`, {
      outcome: 'not-applied',
    });
    this.server = server;
    this.verb = verb;
    this.state = state;
    this.needed = needed;
  }
}

/** The stage a server belongs to has been closed; nothing was done, or it was given up. */
export class StageClosedError extends HoldfastError {
  readonly code = 'STAGE_CLOSED';
  readonly server: string;

  constructor(server: string) {
    super(`${server} belongs to a stage that has been closed; open a new one`, {
      outcome: 'not-applied',
    });
    this.server = server;
  }
}

/** Nothing stands in front of a server that could break its connections. */
export class StageLinkError extends HoldfastError {
  readonly code = 'STAGE_LINK_ABSENT';
  readonly server: string;

  constructor(server: string) {
    super(
      `${server}.link: no fault proxy stands in front of ${server}, because the stage was opened with ` +
        `'link: false' or its clients speak UDP; open it without 'link: false', or use the server's own faults`,
      { outcome: 'not-applied' },
    );
    this.server = server;
  }
}

/** A fault that this machine, or the mode of the stage, cannot do; nothing was done. */
export class StageCannotError extends HoldfastError {
  readonly code = 'STAGE_CANNOT';
  readonly server: string;

  /**
   * @param attempted what it was to be, such as `fill its disk`.
   * @param why what was seen.
   * @param wayOut what the caller can do about it.
   */
  constructor(server: string, attempted: string, why: string, wayOut: string, cause?: unknown) {
    super(`${server}: the stage cannot ${attempted}: ${why}. ${wayOut}`, {
      cause,
      outcome: 'not-applied',
    });
    this.server = server;
  }
}

/** There is no broker, or it cannot lend what was asked for. */
export class BrokerError extends HoldfastError {
  readonly code = 'BROKER_UNAVAILABLE';

  constructor(seen: string, cause?: unknown) {
    const wayOut = `Open one with openBroker() before the tests and hand on its address as HOLDFAST_BROKER`;
    super(`leaseServers: ${seen}. ${wayOut}`, { cause, outcome: 'not-applied' });
  }
}

/** A server ended while it was being started. */
export class ServerStartError extends HoldfastError {
  readonly code = 'SERVER_START_FAILED';
  readonly server: string;
  /** The end of what it printed. */
  readonly printed: string;

  constructor(server: string, ended: string, printed: string, cause?: unknown) {
    const said = printed === '' ? 'It printed nothing.' : `It printed last:\n${printed}`;
    super(`${server} was started, but ended before its first answer (${ended}). ${said}`, {
      cause,
      outcome: 'not-applied',
    });
    this.server = server;
    this.printed = printed;
  }
}

/** A server did not do what a verb asked of it within the stage's time. */
export class ServerTimeoutError extends HoldfastError {
  readonly code = 'SERVER_TIMEOUT';
  readonly server: string;
  readonly limitMs: number;

  constructor(server: string, limitMs: number, seen: string, cause?: unknown) {
    super(`${server} ${seen} within ${limitMs} ms`, { cause, outcome: 'unknown' });
    this.server = server;
    this.limitMs = limitMs;
  }
}

/** Mode `local` found no Redis and could not fetch one. */
export class RedisNotFoundError extends HoldfastError {
  readonly code = 'REDIS_NOT_FOUND';

  /** @param seen what was tried and what came of it. */
  constructor(seen: string, cause?: unknown) {
    super(
      `openStage: no redis-server or valkey-server on PATH, and ${seen}. Install one: ` +
        `'apt-get install redis-server' (Debian, Ubuntu), 'dnf install valkey' (Fedora, RHEL), ` +
        `'apk add redis' (Alpine), 'brew install redis' (macOS)`,
      { cause, outcome: 'not-applied' },
    );
  }
}

/** Mode `local` found no Postgres and could not fetch one. */
export class PostgresNotFoundError extends HoldfastError {
  readonly code = 'POSTGRES_NOT_FOUND';

  /** @param seen what was found and not taken, and what came of fetching one. */
  constructor(version: number | undefined, seen: readonly string[], cause?: unknown) {
    const wanted = version === undefined ? 'Postgres' : `Postgres ${version}`;
    const found = seen.length === 0 ? '' : ` (${seen.join('; ')})`;
    const suffix = version === undefined ? '' : `-${version}`;
    super(
      `openStage: no ${wanted} with its initdb on PATH or in /usr/lib/postgresql${found}. ` +
        `Install one: 'apt-get install postgresql${suffix}' (Debian, Ubuntu), ` +
        `'dnf install postgresql-server' (Fedora, RHEL), 'apk add postgresql${suffix.slice(1)}' (Alpine), ` +
        `'brew install postgresql@${version ?? 17}' (macOS)`,
      { cause, outcome: 'not-applied' },
    );
  }
}

/** The data that every Postgres of a stage begins with could not be made. */
export class PostgresTemplateError extends HoldfastError {
  readonly code = 'POSTGRES_TEMPLATE_FAILED';

  constructor(seen: string, cause?: unknown) {
    super(`openStage: initdb ${seen}`, { cause, outcome: 'not-applied' });
  }
}

/** A Postgres of the stage refused a statement of the stage's own. */
export class PostgresRefusedError extends HoldfastError {
  readonly code = 'POSTGRES_REFUSED';
  readonly server: string;
  readonly sqlState: string;

  constructor(server: string, attempted: string, sqlState: string, said: string) {
    super(`${server} refused to ${attempted}: ${said} (${sqlState})`, { outcome: 'not-applied' });
    this.server = server;
    this.sqlState = sqlState;
  }
}

/** The container engine refused a request. */
export class EngineError extends HoldfastError {
  readonly code = 'ENGINE_REFUSED';
  /** Status of its HTTP answer. */
  readonly status: number;

  constructor(request: string, status: number, said: string) {
    super(`the container engine answered '${request}' with ${status}: ${said}`);
    this.status = status;
  }
}

/** The status of an {@link EngineError}; `undefined` for any other failure. */
export function engineStatus(error: unknown): number | undefined {
  const isRefusal = isHoldfastError(error) && error.code === 'ENGINE_REFUSED';
  return isRefusal && 'status' in error && typeof error.status === 'number'
    ? error.status
    : undefined;
}
