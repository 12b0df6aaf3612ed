/** Runs under a low `ulimit -n`: uses up all descriptors, and prints what dials say then. */
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { propertyOf } from '@holdfast/foundation';
import { createDialer } from '@holdfast/network';
import { waitUntil } from '../wait-until.ts';

let connections = 0;
const server = createServer((socket) => {
  connections += 1;
  socket.on('close', () => (connections -= 1));
  socket.resume().end();
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = server.address();
const port = typeof address === 'object' ? (address?.port ?? 0) : 0;

const reports: string[] = [];
const dialer = createDialer({
  allowPrivate: true,
  resolver: {
    resolve: (hostname) =>
      Promise.resolve({
        hostname,
        addresses: [{ address: '127.0.0.1', family: 4 }],
        validUntilMs: Infinity,
        revision: 1,
      }),
    report: (_address, result) => void reports.push(result),
  },
});
const system = createDialer({ allowPrivate: true });

async function kindOf(work: Promise<{ socket: { destroy(): unknown } }>): Promise<unknown> {
  try {
    (await work).socket.destroy();
    return 'connected';
  } catch (error) {
    return propertyOf(error, 'kind');
  }
}

const dialed = (): Promise<unknown> =>
  kindOf(dialer.dial({ hostname: 'a.test', port, secure: false }));
// Whatever is loaded late has been loaded.
await kindOf(system.dial({ hostname: 'localhost', port, secure: false }));
await waitUntil(() => connections === 0);
const taken: number[] = [];
const takeAll = (): void => {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // None is left.
  }
};
takeAll();
const resolved = await dialed();
takeAll();
const looked = await kindOf(system.dial({ hostname: 'localhost', port, secure: false }));
for (const file of taken) closeSync(file);
const afterwards = await dialed();
process.stdout.write(JSON.stringify({ resolved, looked, afterwards, reports }));
process.exit();
