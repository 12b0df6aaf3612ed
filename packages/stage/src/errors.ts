import { HoldfastError, describeThrown, isHoldfastError } from '@holdfast/foundation';
import type { StageMode } from './mode-name.ts';

/** The environment variables that name folders of the stage. */
export type FolderVariable = 'TMPDIR' | 'XDG_CACHE_HOME';

/** The requested mode is not available on this machine. */
export class StageModeError extends HoldfastError {
  readonly code = 'STAGE_MODE_UNAVAILABLE';
  readonly mode: StageMode;

  /**
   * @param reason why it is not available.
   * @param remedy what the caller can do about it.
   */
  constructor(mode: StageMode, reason: string, remedy: string, cause?: unknown) {
    super(`openStage: mode '${mode}' is not available here: ${reason}. ${remedy}`, {
      cause,
      outcome: 'not-applied',
    });
    this.mode = mode;
  }
}

/** A verb was called in a state of the server that does not allow it; nothing was done. */
export class StageStateError extends HoldfastError {
  readonly code = 'STAGE_STATE';
  readonly server: string;
  readonly verb: string;
  /** The state of the server. */
  readonly state: string;
  /** The states in which the verb is allowed. */
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

/** The connection to a server failed while a verb asked it: it has ended by itself, or another verb ends it. */
export class ServerUnreachableError extends HoldfastError {
  readonly code = 'STAGE_SERVER_UNREACHABLE';
  readonly server: string;
  readonly verb: string;
  /** The state of the server as far as the stage knows. */
  readonly state: string;

  constructor(server: string, verb: string, state: string, cause: unknown) {
    super(
      `${server}.${verb}() could not ask ${server}, which is ${state} (${describeThrown(cause)}); wait for it by ` +
        `start(), and call again`,
      { cause, outcome: 'unknown' },
    );
    this.server = server;
    this.verb = verb;
    this.state = state;
  }
}

/** The stage of the server has been closed; nothing was done, or the verb was aborted. */
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

/** The server has no fault proxy in front of it. */
export class StageLinkError extends HoldfastError {
  readonly code = 'STAGE_LINK_ABSENT';
  readonly server: string;

  constructor(server: string) {
    super(
      `${server}.link: ${server} has no fault proxy, because the stage was opened with 'link: false' or its ` +
        `clients speak UDP; open it without 'link: false', or use the server's own faults`,
      { outcome: 'not-applied' },
    );
    this.server = server;
  }
}

/** This machine, or the mode of the stage, does not support a fault; nothing was done. */
export class FaultUnsupportedError extends HoldfastError {
  readonly code = 'STAGE_FAULT_UNSUPPORTED';
  readonly server: string;

  /**
   * @param attempted such as `fill its disk`.
   * @param reason why it is not available.
   * @param remedy what the caller can do about it.
   */
  constructor(server: string, attempted: string, reason: string, remedy: string, cause?: unknown) {
    super(`${server}: the stage cannot ${attempted}: ${reason}. ${remedy}`, {
      cause,
      outcome: 'not-applied',
    });
    this.server = server;
  }
}

/** A server ended during its start. */
export class ServerStartError extends HoldfastError {
  readonly code = 'STAGE_SERVER_START_FAILED';
  readonly server: string;
  /** The end of its output. */
  readonly printed: string;

  constructor(server: string, ended: string, printed: string, cause?: unknown) {
    const output = printed === '' ? 'It printed nothing.' : `It printed last:\n${printed}`;
    super(`${server} was started, but ended before its first answer (${ended}). ${output}`, {
      cause,
      outcome: 'not-applied',
    });
    this.server = server;
    this.printed = printed;
  }
}

/** The effect of a verb was not seen in time. */
export class ServerTimeoutError extends HoldfastError {
  readonly code = 'STAGE_SERVER_TIMEOUT';
  readonly server: string;
  readonly limitMs: number;

  constructor(server: string, limitMs: number, failure: string, cause?: unknown) {
    super(`${server} ${failure} within ${limitMs} ms`, { cause, outcome: 'unknown' });
    this.server = server;
    this.limitMs = limitMs;
  }
}

/** Mode `local` found no Redis and could not fetch one. */
export class RedisNotFoundError extends HoldfastError {
  readonly code = 'STAGE_REDIS_NOT_FOUND';

  /** @param reason why one could not be fetched. */
  constructor(reason: string, cause?: unknown) {
    super(
      `openStage: no redis-server or valkey-server on PATH, and ${reason}. Install one: ` +
        `'apt-get install redis-server' (Debian, Ubuntu), 'dnf install valkey' (Fedora, RHEL), ` +
        `'apk add redis' (Alpine), 'brew install redis' (macOS)`,
      { cause, outcome: 'not-applied' },
    );
  }
}

/** Mode `local` found no Postgres and could not fetch one. */
export class PostgresNotFoundError extends HoldfastError {
  readonly code = 'STAGE_POSTGRES_NOT_FOUND';

  /** @param reasons why each Postgres that was found is not used, and why one could not be fetched. */
  constructor(version: number | undefined, reasons: readonly string[], cause?: unknown) {
    const wanted = version === undefined ? 'Postgres' : `Postgres ${version}`;
    const found = reasons.length === 0 ? '' : ` (${reasons.join('; ')})`;
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

/** Mode `local` found no PgBouncer and could not fetch one. */
export class PgBouncerNotFoundError extends HoldfastError {
  readonly code = 'STAGE_PGBOUNCER_NOT_FOUND';

  /** @param reason why one could not be fetched. */
  constructor(reason: string, cause?: unknown) {
    super(
      `openStage: no pgbouncer on PATH or in /usr/sbin, and ${reason}. Install one: ` +
        `'apt-get install pgbouncer' (Debian, Ubuntu), 'dnf install pgbouncer' (Fedora, RHEL), ` +
        `'apk add pgbouncer' (Alpine), 'brew install pgbouncer' (macOS)`,
      { cause, outcome: 'not-applied' },
    );
  }
}

/** The initial data of every Postgres could not be created. */
export class PostgresTemplateError extends HoldfastError {
  readonly code = 'STAGE_POSTGRES_TEMPLATE_FAILED';

  constructor(failure: string, cause?: unknown) {
    super(`openStage: initdb ${failure}`, { cause, outcome: 'not-applied' });
  }
}

/** A Postgres refused a statement of the stage. */
export class PostgresRefusedError extends HoldfastError {
  readonly code = 'STAGE_POSTGRES_REFUSED';
  readonly server: string;
  readonly sqlState: string;

  constructor(server: string, attempted: string, sqlState: string, message: string) {
    super(`${server} refused to ${attempted}: ${message} (${sqlState})`, {
      outcome: 'not-applied',
    });
    this.server = server;
    this.sqlState = sqlState;
  }
}

/** Mode `local` found no git with a backend for HTTP. */
export class GitNotFoundError extends HoldfastError {
  readonly code = 'STAGE_GIT_NOT_FOUND';

  /** @param reason what is missing. */
  constructor(reason: string) {
    super(
      `openStage: ${reason}. Install it: 'apt-get install git' (Debian, Ubuntu), ` +
        `'dnf install git' (Fedora, RHEL), 'apk add git git-daemon' (Alpine), 'brew install git' (macOS)`,
      { outcome: 'not-applied' },
    );
  }
}

/** A server refused new settings; the former ones are in force. */
export class StageControlError extends HoldfastError {
  readonly code = 'STAGE_CONTROL_REFUSED';
  readonly server: string;

  constructor(server: string, verb: string, reason: string) {
    super(`${server}.${verb}() was refused by the server: ${reason}`, { outcome: 'not-applied' });
    this.server = server;
  }
}

/** A folder of this machine cannot hold what the stage needs; nothing was started in it. */
export class StageFolderError extends HoldfastError {
  readonly code = 'STAGE_FOLDER_UNUSABLE';
  readonly folder: string;
  /** The environment variable that names another folder. */
  readonly variable: FolderVariable;

  /** @param reason such as the code of the system's error. */
  constructor(folder: string, variable: FolderVariable, reason: string, cause?: unknown) {
    const [role, wanted] =
      variable === 'TMPDIR'
        ? ['temporary folder', 'an existing folder with a short path']
        : ['cache folder', 'a folder'];
    super(
      `openStage: the ${role} ${folder} cannot be used (${reason}). ` +
        `Set ${variable} to ${wanted} that this user can write to`,
      { cause, outcome: 'not-applied' },
    );
    this.folder = folder;
    this.variable = variable;
  }
}

/** The container engine refused a request. */
export class EngineError extends HoldfastError {
  readonly code = 'STAGE_ENGINE_REFUSED';
  /** Status of its HTTP response. */
  readonly status: number;

  constructor(request: string, status: number, message: string) {
    super(`the container engine answered '${request}' with ${status}: ${message}`);
    this.status = status;
  }
}

/** The status of an {@link EngineError}; `undefined` for any other failure. */
export function engineStatus(error: unknown): number | undefined {
  const isRefusal = isHoldfastError(error) && error.code === 'STAGE_ENGINE_REFUSED';
  return isRefusal && 'status' in error && typeof error.status === 'number'
    ? error.status
    : undefined;
}
