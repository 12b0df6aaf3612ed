/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  type HostFaultKind,
  limitDescriptors,
  openSandbox,
  checkHostFault,
} from '@holdfast/faults';
import { closeAfterTest } from '../close-after-test.ts';
import { fate, openBench, quiet, read } from '../servers.ts';
import { obstacleTo, testUnless } from '../test-unless.ts';

const kinds: HostFaultKind[] = ['connectHang', 'partition', 'fullDisk', 'descriptors', 'clock'];

test.each(kinds)(
  'the availability of %s is checked before anything is changed, with the reason',
  async (kind) => {
    const availability = await checkHostFault(kind);
    const reason = availability.available ? 'none' : availability.reason;
    expect(reason).toMatch(availability.available ? /^none$/ : /\w+ \w+/);
  },
);

test('on a machine without the programs each check names the missing one', async () => {
  const { PATH, XDG_CACHE_HOME } = process.env;
  const empty = await mkdtemp(join(tmpdir(), 'holdfast-plan-'));
  process.env['PATH'] = empty;
  process.env['XDG_CACHE_HOME'] = empty;
  try {
    const reasons = await Promise.all(
      kinds.map(async (kind) => {
        const availability = await checkHostFault(kind);
        return availability.available ? `${kind} is available` : availability.reason;
      }),
    );
    for (const reason of reasons) {
      expect(reason).toMatch(/(?:setpriv|unshare|prlimit|C compiler).* on PATH|it takes Linux/);
    }
  } finally {
    process.env['PATH'] = PATH;
    if (XDG_CACHE_HOME === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = XDG_CACHE_HOME;
    await rm(empty, { recursive: true });
  }
});

test('an unknown fault is refused', async () => {
  const given: { check(kind: string): Promise<unknown> } = { check: checkHostFault };
  await expect(given.check('meteor')).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'kind',
  });
});

const onHang = testUnless(await obstacleTo('connectHang'));
const onDescriptors = testUnless(await obstacleTo('descriptors'));
const onPartition = testUnless(await obstacleTo('partition'));
const onFullDisk = testUnless(await obstacleTo('fullDisk'));

onHang('connects hang at an unchanged address, and succeed after the proxy is healed', async () => {
  const bench = await openBench();
  const { proxy } = bench;
  try {
    const open = await bench.dial();
    await proxy.hangConnects();
    proxy.faults.set('latency', { latencyMs: 1 });
    const hanging = Array.from({ length: 5 }, () => connect(proxy.port, proxy.host));
    await quiet();
    open.write('lives on');
    expect(String(await read(open, 8))).toBe('lives on');
    expect(hanging.every((socket) => socket.connecting)).toBe(true);
    const { port } = proxy;
    const connected = hanging.map((socket) => once(socket, 'connect'));
    await proxy.heal();
    // Each SYN is sent again by the client's own system: after a second, three, seven.
    await Promise.all(connected);
    expect(proxy.port).toBe(port);
    for (const socket of hanging) {
      socket.write('through');
      expect(String(await read(socket, 7))).toBe('through');
      socket.destroy();
    }
  } finally {
    await bench.close();
  }
});

onHang(
  'a proxy whose connects hang refuses when it goes down, and leaves nothing when it closes',
  async () => {
    const bench = await openBench();
    const { proxy } = bench;
    try {
      await proxy.hangConnects();
      proxy.faults.set('down');
      while ((await fate(connect(proxy.port, proxy.host))) !== 'ECONNREFUSED') await quiet();
      await proxy.heal();
      await bench.dial();
      await proxy.hangConnects();
    } finally {
      await bench.close();
    }
    expect(await fate(connect(proxy.port, proxy.host))).toBe('ECONNREFUSED');
  },
);

const HOLDER = `
  const { openSync } = require('node:fs');
  process.stdin.on('data', () => {
    try { openSync('/dev/null', 'r'); console.log('opened'); } catch (error) { console.log(error.code); }
  });
  console.log('ready');
`;

onDescriptors('a process that runs is out of descriptors, and has them back', async () => {
  const holder = spawn(process.execPath, ['-e', HOLDER], { stdio: ['pipe', 'pipe', 'inherit'] });
  const { pid = 0, stdin, stdout } = holder;
  const said = async (): Promise<string> => String((await once(stdout, 'data'))[0]).trim();
  const attempt = async (): Promise<string> => {
    const answer = said();
    stdin.write('open\n');
    return answer;
  };
  try {
    expect(await said()).toBe('ready');
    const limits = (): Promise<string> => readFile(`/proc/${pid}/limits`, 'utf8');
    const before = await limits();
    const undo = await limitDescriptors({ pid, maxOpen: 3 });
    expect(await attempt()).toBe('EMFILE');
    await undo();
    expect(await attempt()).toBe('opened');
    expect(await limits()).toBe(before);
  } finally {
    holder.kill('SIGKILL');
    await once(holder, 'exit');
  }
});

const ECHO = `
  const { createServer } = require('node:net');
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(7000, '127.0.0.1', () => console.log('listening'));
`;
const ASK = `
  const socket = require('node:net').connect(7000, '127.0.0.1');
  socket.setTimeout(1500, () => { console.log(socket.connecting ? 'connect hangs' : 'silence'); process.exit(); });
  socket.on('connect', () => socket.write('x'));
  socket.on('data', () => { console.log('answer'); process.exit(); });
  socket.on('error', (error) => { console.log(error.code); process.exit(); });
`;

onPartition(
  'a server in a sandbox is cut off both ways, one way, by RST and as unreachable',
  async () => {
    const sandbox = closeAfterTest(await openSandbox());
    const start = (code: string) => {
      const child = sandbox.spawn(process.execPath, ['-e', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      return once(child.stdout ?? child, 'data').then(([bytes]) => String(bytes).trim());
    };
    expect(await start(ECHO)).toBe('listening');
    expect(await start(ASK)).toBe('answer');
    const cases = [
      [{ kind: 'drop' }, 'connect hangs'],
      [{ kind: 'drop', direction: 'toClient' }, 'connect hangs'],
      [{ kind: 'reset', direction: 'toServer' }, 'ECONNREFUSED'],
      [{ kind: 'unreachable', direction: 'toServer' }, 'EHOSTUNREACH'],
    ] as const;
    for (const [options, felt] of cases) {
      const heal = await sandbox.partition({ port: 7_000, ...options });
      expect(await start(ASK)).toBe(felt);
      await heal();
      expect(await start(ASK)).toBe('answer');
    }
    // Its directory is on the disk of the machine.
    await expect(sandbox.fillDisk()).rejects.toMatchObject({
      code: 'FAULTS_HOST_FAULT_UNAVAILABLE',
    });
    await expect(sandbox.partition({ port: 0 })).rejects.toMatchObject({ field: 'port' });
  },
);

const WRITE = `
  const { writeFileSync } = require('node:fs');
  try { writeFileSync(process.argv[1] + '/' + process.pid, Buffer.alloc(50_000)); console.log('written'); }
  catch (error) { console.log(error.code); }
`;

onFullDisk('the disk of a sandbox is full, and has room again', async () => {
  const sandbox = closeAfterTest(await openSandbox({ diskMaxBytes: 1_048_576 }));
  const write = async (): Promise<string> => {
    const child = sandbox.spawn(process.execPath, ['-e', WRITE, sandbox.directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [bytes] = await once(child.stdout ?? child, 'data');
    return String(bytes).trim();
  };
  expect(await write()).toBe('written');
  const undo = await sandbox.fillDisk();
  expect(await write()).toBe('ENOSPC');
  await undo();
  expect(await write()).toBe('written');
});
