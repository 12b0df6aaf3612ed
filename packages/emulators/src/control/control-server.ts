import type { IncomingMessage, ServerResponse } from 'node:http';
import { isHoldfastError } from '@holdfast/foundation';
import { readBytes } from '../serving/body.ts';
import type { RequestLog } from './request-log.ts';
import { saveSettings, loadSettings } from './settings-file.ts';

/** The path prefix of control requests; every other request is a client's. */
export const CONTROL_PATH = '/__stage/';

const MAX_BODY_BYTES = 67_108_864;

/** The settings of a program, and the queries it answers. */
export interface ControlOptions<Settings> {
  /** @param given `undefined` before any settings were saved. @throws InvalidOptionError */
  parse(given: unknown): Settings;
  /** Puts settings into force. When it throws, the sender gets the error and the settings are not saved. */
  apply(settings: Settings): Promise<void> | void;
  /** More queries, each requested as `GET <name>/<argument>`. */
  readonly queries?: Readonly<Record<string, (argument: string) => Promise<unknown>>>;
}

/** Handles the control requests of a program: its health, settings, log and queries. */
class ControlServer<Settings> {
  readonly #options: ControlOptions<Settings>;
  readonly #file: string | undefined;
  readonly #log: RequestLog<unknown>;
  #settings: Settings;
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(
    options: ControlOptions<Settings>,
    file: string | undefined,
    log: RequestLog<unknown>,
    settings: Settings,
  ) {
    this.#options = options;
    this.#file = file;
    this.#log = log;
    this.#settings = settings;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Handles a control request; returns false for every other request. */
  handles(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
    const { method = '', url = '' } = incoming;
    if (!url.startsWith(CONTROL_PATH)) return false;
    const respond = (status: number, body: unknown): void => {
      outgoing.writeHead(status, { 'content-type': 'application/json' });
      outgoing.end(JSON.stringify(body));
    };
    this.#handle(`${method} ${url.slice(CONTROL_PATH.length)}`, incoming).then(
      (body) => respond(200, body),
      (error: unknown) => respond(400, { error: errorMessage(error) }),
    );
    return true;
  }

  async #handle(request: string, incoming: IncomingMessage): Promise<unknown> {
    switch (request) {
      case 'GET health':
        return { status: 'ok' };
      case 'GET settings':
        return this.#settings;
      case 'PUT settings': {
        const body = await readBytes(incoming, MAX_BODY_BYTES);
        const given: unknown = JSON.parse(body.toString('utf8'));
        const change = this.#lastChange.then(() => this.#change(given));
        this.#lastChange = change.catch(() => undefined);
        await change;
        return this.#settings;
      }
      case 'GET log':
        return this.#log.read();
      case 'DELETE log':
        this.#log.clear();
        return [];
      default: {
        const { queries = {} } = this.#options;
        const [, name = '', argument = ''] = /^GET (\w+)\/(.+)$/.exec(request) ?? [];
        const query = Object.hasOwn(queries, name) ? queries[name] : undefined;
        if (query === undefined) throw new RangeError(`unknown control request: ${request}`);
        return query(argument);
      }
    }
  }

  async #change(given: unknown): Promise<void> {
    const next = this.#options.parse(given);
    await this.#options.apply(next);
    await saveSettings(this.#file, next);
    this.#settings = next;
  }
}

/** Applies the saved settings. @param file where settings are saved; `undefined` for nowhere. */
export async function openControlServer<Settings>(
  options: ControlOptions<Settings>,
  file: string | undefined,
  log: RequestLog<unknown>,
): Promise<ControlServer<Settings>> {
  const settings = options.parse(await loadSettings(file));
  await options.apply(settings);
  return new ControlServer(options, file, log, settings);
}

function errorMessage(error: unknown): string {
  return isHoldfastError(error) ? error.message : String(error);
}
