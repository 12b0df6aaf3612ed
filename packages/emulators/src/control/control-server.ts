import type { IncomingMessage, ServerResponse } from 'node:http';
import { isHoldfastError } from '@holdfast/foundation';
import { readBody } from './read-body.ts';
import type { RequestLog } from './request-log.ts';
import { saveSettings, loadSettings } from './settings-file.ts';

/** What begins the path of every request that is the stage's own and not one of its clients'. */
export const CONTROL_PATH = '/__stage/';

const MAX_BODY_BYTES = 67_108_864;

/** How one program reads what it is told, and what it does about it. */
interface ControlledServer<Settings> {
  /** Where its settings are kept over a restart; absent: nowhere. */
  readonly file: string | undefined;
  /** @throws InvalidOptionError */
  parse(given: unknown): Settings;
  /** Puts settings into force; what it rejects with is told to who sent them, and they are not kept. */
  apply(settings: Settings): Promise<void>;
  readonly log: RequestLog<unknown>;
  /** What else can be asked of it, each `<question>/<word>`. */
  readonly queries?: Readonly<Record<string, (word: string) => Promise<unknown>>>;
}

/** Answers what the stage asks of its program. */
interface ControlServer {
  /** Whether the request was the stage's own; it is answered then. */
  handles(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
}

/** Puts the kept settings into force; resolves when the program may begin to serve. */
export async function openControlServer<Settings>(
  steered: ControlledServer<Settings>,
): Promise<ControlServer> {
  const { file, log, queries = {} } = steered;
  let settings = steered.parse(await loadSettings(file));
  await steered.apply(settings);
  let lastChange: Promise<unknown> = Promise.resolve();

  const change = async (given: unknown): Promise<void> => {
    const next = steered.parse(given);
    await steered.apply(next);
    await saveSettings(file, next);
    settings = next;
  };

  const answer = async (request: string, incoming: IncomingMessage): Promise<unknown> => {
    switch (request) {
      case 'GET health':
        return { status: 'ok' };
      case 'GET settings':
        return settings;
      case 'PUT settings': {
        const given: unknown = JSON.parse(await readBody(incoming, MAX_BODY_BYTES));
        const turn = lastChange.then(() => change(given));
        lastChange = turn.catch(() => undefined);
        await turn;
        return settings;
      }
      case 'GET log':
        return log.read();
      case 'DELETE log':
        log.clear();
        return [];
      default: {
        const [, name = '', word = ''] = /^GET (\w+)\/(.+)$/.exec(request) ?? [];
        const question = Object.hasOwn(queries, name) ? queries[name] : undefined;
        if (question === undefined) throw new RangeError(`nothing answers ${request}`);
        return question(word);
      }
    }
  };

  return {
    handles(incoming, outgoing) {
      const { method = '', url = '' } = incoming;
      if (!url.startsWith(CONTROL_PATH)) return false;
      const respond = (status: number, body: unknown): void => {
        outgoing.writeHead(status, { 'content-type': 'application/json' });
        outgoing.end(JSON.stringify(body));
      };
      answer(`${method} ${url.slice(CONTROL_PATH.length)}`, incoming).then(
        (body) => respond(200, body),
        (error: unknown) => respond(400, { error: errorMessage(error) }),
      );
      return true;
    },
  };
}

function errorMessage(error: unknown): string {
  return isHoldfastError(error) ? error.message : String(error);
}
