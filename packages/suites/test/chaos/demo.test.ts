import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { EXIT, runHoldfast } from '@holdfast/cli';
import { environment, propertyOf, systemClock } from '@holdfast/foundation';

const MAIN = fileURLToPath(new URL('bin/holdfast-main.ts', import.meta.resolve('@holdfast/cli')));

const demoFolders = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('holdfast-demo-'));

async function connectTo(url: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  try {
    await once(socket, 'connect');
    return 'connected';
  } catch (error) {
    return String(propertyOf(error, 'code'));
  } finally {
    socket.destroy();
  }
}

test('the demo kills, freezes and fills three servers, and nothing that was accepted is lost', async () => {
  let [stdout, stderr] = ['', ''];
  const exitCode = await runHoldfast(
    ['demo', '--stage', 'local', '--seed', '7', '--duration', '3'],
    {
      stdout: { isTTY: true, columns: 80, write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
      variables: { NO_COLOR: '1' },
      clock: systemClock,
      signal: new AbortController().signal,
    },
  );
  expect({ exitCode, stderr }).toEqual({ exitCode: EXIT.done, stderr: '' });
  expect(stdout).toContain('killed 3, frozen 3, filled 3: lost 0, doubled 0');
  for (const name of ['redis', 'postgres', 's3']) {
    expect(stdout).toMatch(new RegExp(`s  ${name} +killed`));
    expect(stdout).toMatch(new RegExp(`s  ${name} +up again, served in \\d+ ms`));
  }
  // An emulator is called one.
  expect(stdout).toContain('an emulator of S3');
  for (const unit of ['jobs', 'rows', 'objects']) {
    const [, accepted = '0'] = new RegExp(`^${unit} +(\\d+)`, 'm').exec(stdout) ?? [];
    expect(Number(accepted)).toBeGreaterThan(20);
  }
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThan(80);
}, 120_000);

test('an interrupted demo ends with the code of the signal, and leaves no server and no folder', async () => {
  const before = await demoFolders();
  const child = spawn(process.execPath, [MAIN, 'demo', '--stage', 'local'], {
    env: { ...environment, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  for await (const chunk of child.stdout) {
    stdout += String(chunk);
    if (!child.killed && stdout.includes('killed (SIGKILL)')) child.kill('SIGINT');
  }
  if (child.exitCode === null) await once(child, 'exit');
  expect(child.exitCode).toBe(130);
  const urls = [...stdout.matchAll(/(?:redis|postgres|http):\/\/\S+/g)].map(([url]) => url);
  expect(urls).toHaveLength(3);
  for (const url of urls) expect([url, await connectTo(url)]).toEqual([url, 'ECONNREFUSED']);
  expect(await demoFolders()).toEqual(before);
}, 120_000);
