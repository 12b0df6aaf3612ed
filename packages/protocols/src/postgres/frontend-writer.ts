import { PROTOCOL_3_0, int16, int32, lengthPrefixed, message, text } from './message.ts';

/** The end of a session. */
export const terminate: Buffer = message('X');

/** The first message of a session, with parameters such as `user` and `database`. */
export function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flat().map(text);
  return lengthPrefixed(int32(PROTOCOL_3_0), ...pairs, Buffer.alloc(1));
}

export function simpleQuery(sql: string): Buffer {
  return message('Q', text(sql));
}

/** Prepares a named statement without parameters. */
export function parse(name: string, sql: string): Buffer {
  return message('P', text(name), text(sql), int16(0));
}
