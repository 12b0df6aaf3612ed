/** Messages of a client (PostgreSQL, "Message Formats", version 3.0). */

export function simpleQuery(sql: string): Buffer {
  return typed('Q', `${sql}\0`);
}

/** Of a named statement without parameters. */
export function parse(name: string, sql: string): Buffer {
  return typed('P', `${name}\0${sql}\0\0\0`);
}

/** The strings that a message's body begins with. */
export function stringsOf(bytes: Buffer, count: number): string[] {
  const strings: string[] = [];
  let from = 5;
  for (let index = 0; index < count; index += 1) {
    const end = bytes.indexOf(0, from);
    if (end === -1) break;
    strings.push(bytes.toString('utf8', from, end));
    from = end + 1;
  }
  return strings;
}

function typed(type: string, body: string): Buffer {
  const bytes = Buffer.alloc(5 + Buffer.byteLength(body));
  bytes.write(type, 0, 'latin1');
  bytes.writeInt32BE(bytes.length - 1, 1);
  bytes.write(body, 5);
  return bytes;
}
