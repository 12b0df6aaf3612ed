import type { PlantedBug } from '../planted-bug.ts';

export const protocolsBugs: readonly PlantedBug[] = [
  {
    name: 'an attribute of a RESP3 reply counts as the reply',
    file: 'packages/protocols/src/redis/reply-scanner.ts',
    sound: 'if (inner.isAttribute) return false;',
    broken: 'if (inner.isAttribute && inner.left > 0) return false;',
    tests: { path: 'packages/protocols/test/redis', name: 'the end of a RESP2 or RESP3 reply' },
  },
  {
    name: 'the length of a word of a Redis command is in characters',
    file: 'packages/protocols/src/redis/writer.ts',
    sound: '`$${Buffer.byteLength(word)}',
    broken: '`$${word.length}',
    tests: { path: 'packages/protocols/test/redis', name: 'lengths in bytes' },
  },
  {
    name: 'the name of a DNS record may reach beyond its data',
    file: 'packages/protocols/src/dns/message.ts',
    sound: "if (this.#at > end) throw new DnsFormatError('a name longer than its data');",
    broken: 'if (this.#at > end) this.#at = end;',
    tests: { path: 'packages/protocols/test/dns', name: 'that reaches beyond it' },
  },
  {
    name: 'that a name is absent is cached for as long as its zone has a record of authority',
    file: 'packages/protocols/src/dns/record.ts',
    sound: 'return Math.min(ttlSeconds, data.readUInt32BE(data.length - 4));',
    broken: 'return Math.max(ttlSeconds, data.readUInt32BE(data.length - 4));',
    tests: { path: 'packages/protocols/test/dns', name: 'absence may be cached' },
  },
  {
    name: 'a null of Postgres is an empty text',
    file: 'packages/protocols/src/postgres/backend-reader.ts',
    sound: 'return length === -1 ? null :',
    broken: "return length === -1 ? '' :",
    tests: { path: 'packages/protocols/test/postgres-messages', name: 'null' },
  },
];
