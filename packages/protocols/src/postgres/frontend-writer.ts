import { PROTOCOL_3_0, int16, int32, lengthPrefixed, message, text } from './message.ts';

/** The end of a session. */
export const terminate: Buffer = message('X');

/** The first message of a session, with parameters such as `user` and `database`. */
export function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flat().map(text);
  return lengthPrefixed(int32(PROTOCOL_3_0), ...pairs, Buffer.alloc(1));
}

/** Asks for a text of statements to be run. */
export function simpleQuery(sql: string): Buffer {
  return message('Q', text(sql));
}

/** Prepares a named statement without parameters. */
export function parse(name: string, sql: string): Buffer {
  return message('P', text(name), text(sql), int16(0));
}

/** Runs a statement without parameters once, and forgets it: the name is that of the statement and of its portal. */
export function runOnce(name: string, sql: string): Buffer {
  const bind = message('B', text(name), text(name), int16(0), int16(0), int16(0));
  const execute = message('E', text(name), int32(0));
  const close = message('C', Buffer.from('S'), text(name));
  return Buffer.concat([parse(name, sql), bind, execute, close]);
}

/** The end of a series of messages, after which the server says that it is ready. */
export const sync: Buffer = message('S');
