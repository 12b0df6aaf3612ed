import { once } from 'node:events';
import { type Socket, createServer } from 'node:net';
import { portOf } from '../servers.ts';

/** A Postgres that has one row for every query, and remembers what it was asked. */
export interface ScriptedPostgres {
  readonly port: number;
  readonly asked: string[];
  close(): void;
}

const message = (type: string, body: Buffer = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const column = Buffer.concat([
  int16(1),
  Buffer.from('id\0'),
  Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]),
]);
const row = message('D', Buffer.concat([int16(1), Buffer.from([0, 0, 0, 1]), Buffer.from('7')]));
const described = message('T', column);
const complete = message('C', Buffer.from('SELECT 1\0'));
const ready = message('Z', Buffer.from('I'));

/** The answers to each type of message of a client. */
const answers: Readonly<Record<string, readonly Buffer[]>> = {
  Q: [described, row, complete, ready],
  P: [message('1')],
  B: [message('2')],
  D: [described],
  E: [row, complete],
  C: [message('3')],
  S: [ready],
};

export async function openScriptedPostgres(): Promise<ScriptedPostgres> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    let pending = Buffer.alloc(0);
    let isStarted = false;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      pending = Buffer.concat([pending, bytes]);
      const headBytes = (): number => (isStarted ? 5 : 4);
      while (pending.length >= headBytes()) {
        const length = pending.readInt32BE(headBytes() - 4) + headBytes() - 4;
        if (pending.length < length) return;
        const whole = pending.subarray(0, length);
        pending = pending.subarray(length);
        if (!isStarted) {
          isStarted = true;
          socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]));
          continue;
        }
        const type = String.fromCharCode(whole[0] ?? 0);
        if (type === 'Q' || type === 'P')
          asked.push(whole.subarray(5).toString().split('\0').join(' ').trim());
        socket.write(Buffer.concat(answers[type] ?? []));
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
