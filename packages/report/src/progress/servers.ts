import { appendFileSync } from 'node:fs';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import { environment } from '@holdfast/foundation';

/** The environment variable that names the folder of the servers' states, set for every test process. */
export const SERVERS_VARIABLE = 'HOLDFAST_SERVERS_DIRECTORY';

/** Where `@holdfast/stage` publishes that a server starts, stops or freezes. */
const CHANNEL = 'holdfast:stage:transition';

/** The state of a server of the stage, as a line of the folder. */
interface ServerLine {
  readonly server: string;
  readonly to: string;
}

/**
 * Tells the reporter of the servers that the stages of this process start and stop, for its progress. For a setup
 * file of Jest: `const stop = announceServers(); afterAll(stop);`. Without a reporter that shows progress it does
 * nothing.
 */
export function announceServers(): () => void {
  const directory = environment[SERVERS_VARIABLE];
  if (directory === undefined || directory === '') return () => undefined;
  const path = join(directory, `${process.pid}.jsonl`);
  const listener = (message: unknown): void => {
    const seen = parseServer(message);
    if (seen === undefined) return;
    try {
      appendFileSync(path, `${JSON.stringify(seen)}\n`);
    } catch {
      // The progress lacks a line; no test fails for it.
    }
  };
  subscribe(CHANNEL, listener);
  return () => void unsubscribe(CHANNEL, listener);
}

function parseServer(value: unknown): ServerLine | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('server' in value) || !('to' in value)) return undefined;
  const { server, to } = value;
  return typeof server === 'string' && typeof to === 'string' ? { server, to } : undefined;
}

/** The servers of all test processes. */
export class ServerBoard {
  readonly #states = new Map<string, ServerLine>();
  readonly #seen = new Set<string>();

  /** Notes one line of the folder; returns the server's name when it stands for the first time in the run. */
  note(file: string, line: string): string | undefined {
    const seen = parseLine(line);
    if (seen === undefined) return undefined;
    this.#states.set(`${file} ${seen.server}`, seen);
    if (seen.to !== 'running' || this.#seen.has(seen.server)) return undefined;
    this.#seen.add(seen.server);
    return seen.server;
  }

  /** Such as `redis up, postgres frozen`; servers that were stopped are not named. */
  describe(): string {
    const counted = new Map<string, number>();
    for (const { server, to } of this.#states.values()) {
      if (to === 'stopped') continue;
      const text = `${server} ${to === 'running' ? 'up' : to}`;
      counted.set(text, (counted.get(text) ?? 0) + 1);
    }
    return [...counted].map(([text, count]) => (count > 1 ? `${count} ${text}` : text)).join(', ');
  }
}

function parseLine(line: string): ServerLine | undefined {
  try {
    return parseServer(JSON.parse(line));
  } catch {
    return undefined;
  }
}
