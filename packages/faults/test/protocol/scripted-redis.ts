import { once } from 'node:events';
import { type Server, type Socket, createServer } from 'node:net';
import { CommandReader } from '@holdfast/protocols/redis';
import { portOf } from '../servers.ts';

/** A Redis that knows little: strings, transactions, and whom it told. */
export interface ScriptedRedis {
  readonly port: number;
  /** The commands it was asked, in order. */
  readonly asked: string[];
  close(): void;
}

export async function openScriptedRedis(): Promise<ScriptedRedis> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    const reader = new CommandReader(1_000_000);
    const values = new Map<string, string>();
    let queued: (() => string)[] | undefined;
    sockets.add(socket);
    socket.on('error', () => {});
    const answer = (name: string, key: string, value: string): string => {
      if (name === 'get') return bulk(values.get(key));
      if (name === 'set') values.set(key, value);
      if (name === 'scan' || name.endsWith('scan')) return '*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n';
      if (name === 'info') return bulk('redis_version:7.0.15\r\nloading:0');
      return '+OK\r\n';
    };
    socket.on('data', (bytes) => {
      for (const { name, args } of reader.read(bytes)) {
        asked.push([name, ...args.map(String)].join(' '));
        const [key = '', value = ''] = args.map(String);
        if (name === 'multi') queued = [];
        else if (name === 'discard') queued = undefined;
        else if (name === 'exec' && queued !== undefined) {
          const done = queued.map((command) => command());
          socket.write(`*${done.length}\r\n${done.join('')}`);
          queued = undefined;
          continue;
        } else if (queued !== undefined) {
          queued.push(() => answer(name, key, value));
          socket.write('+QUEUED\r\n');
          continue;
        }
        socket.write(answer(name, key, value));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server),
    asked,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function bulk(text: string | undefined): string {
  return text === undefined ? '$-1\r\n' : `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}
