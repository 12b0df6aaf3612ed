import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { environment, propertyOf, sleep, systemClock } from '@holdfast/foundation';
import { type CliRun, runCli } from './run-cli.ts';

const MAIN = join(import.meta.dirname, '../src/bin/holdfast-main.ts');
const POLL_MS = 20;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
});
afterEach(async () => {
  // Whatever a test has left.
  await stage('down');
  await rm(folder, { recursive: true, force: true });
});

const variables = { ...environment, HOLDFAST_STAGE: 'local', NODE_OPTIONS: '' };

/** A command of the stage as a process of its own, in the folder. */
function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, 'stage', ...args], {
    cwd: folder,
    env: variables,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The same in this process. */
function stage(command: string, ...args: string[]): Promise<CliRun> {
  const directory = ['--directory', join(folder, '.holdfast')];
  return runCli(['stage', command, ...args, ...directory], { variables });
}

async function endOf(child: ChildProcess): Promise<CliRun> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (stdout += String(chunk)));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += String(chunk)));
  const [exitCode] = await once(child, 'close');
  return { exitCode: Number(exitCode), stdout, stderr };
}

/** What a Redis answers to PING; an error's code where none listens. */
async function ping(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.end('PING\r\n');
  try {
    const [reply] = await once(socket, 'data');
    return String(reply).trim();
  } catch (error) {
    return String(propertyOf(error, 'code'));
  } finally {
    socket.destroy();
  }
}

const portIn = ({ stdout }: CliRun): number => Number(/^REDIS_URL=.*:(\d+)$/m.exec(stdout)?.[1]);

async function keeperPid(): Promise<number> {
  const state = JSON.parse(await readFile(join(folder, '.holdfast/stage.json'), 'utf8'));
  return Number(state.pid);
}

test('servers outlive the command that begins them, until another command ends them', async () => {
  const begun = await endOf(start('up', 'redis'));
  expect(begun).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^REDIS_URL=\S+\n$/) });
  expect(await ping(portIn(begun))).toBe('+PONG');

  const status = await stage('status');
  expect(status).toMatchObject({ exitCode: 0, stdout: begun.stdout });
  expect(status.stderr).toContain('Up: redis (mode local, pid');

  const again = await stage('up', 'redis', '--json');
  expect(again).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining('Up already: redis'),
  });
  expect(JSON.parse(again.stdout)).toMatchObject({
    up: true,
    mode: 'local',
    names: ['redis'],
    servers: [{ name: 'redis', port: portIn(begun) }],
    variables: { REDIS_URL: begun.stdout.trim().slice('REDIS_URL='.length) },
  });

  const more = await stage('up', 'redis', 's3');
  expect(more).toMatchObject({ exitCode: 2, stdout: '' });
  expect(more.stderr.replaceAll(/\s+/g, ' ')).toContain(
    "without s3. 'holdfast stage down' ends it",
  );

  const ended = await stage('down');
  expect(ended).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('Ended: redis') });
  expect(await ping(portIn(begun))).toBe('ECONNREFUSED');
  expect(await readdir(join(folder, '.holdfast'))).toEqual(['.gitignore', 'stage.log']);

  expect(await stage('status', '--json')).toMatchObject({
    exitCode: 3,
    stdout: '{ "up": false }\n',
  });
  expect(await stage('down')).toMatchObject({ exitCode: 0 });
});

test('servers whose keeper was killed end with it, and the next ones can begin', async () => {
  const begun = await stage('up', 'redis');
  process.kill(await keeperPid(), 'SIGKILL');
  while ((await ping(portIn(begun))) === '+PONG') await sleep(systemClock, POLL_MS);
  expect(await stage('status')).toMatchObject({ exitCode: 3 });
  const again = await stage('up', 'redis');
  expect(again.exitCode).toBe(0);
  expect(await ping(portIn(again))).toBe('+PONG');
});

test('a process that has got the pid of a keeper is not ended', async () => {
  const begun = await stage('up', 'redis');
  const path = join(folder, '.holdfast/stage.json');
  const state = JSON.parse(await readFile(path, 'utf8'));
  await stage('down');
  const other = spawn('sleep', ['60'], { stdio: 'ignore' });
  try {
    await writeFile(path, JSON.stringify({ ...state, pid: other.pid }));
    const ended = await stage('down');
    expect(ended).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('nothing was ended'),
    });
    expect(other.exitCode ?? other.signalCode).toBeNull();
    expect(await ping(portIn(begun))).toBe('ECONNREFUSED');
  } finally {
    other.kill('SIGKILL');
  }
});

test('SIGTERM while servers start leaves none of them', async () => {
  const child = start('up', 'redis', 'postgres');
  const ended = endOf(child);
  // It has begun the keeper right after this line.
  if (child.stderr !== null) await once(child.stderr, 'data');
  child.kill('SIGTERM');
  const { exitCode, stdout, stderr } = await ended;
  expect({ exitCode, stdout }).toEqual({ exitCode: 143, stdout: '' });
  expect(stderr).toContain('interrupted by SIGTERM');
  expect(await stage('status')).toMatchObject({ exitCode: 3 });
});

test('what cannot be started is told with the way out, and nothing is left', async () => {
  const { exitCode, stdout, stderr } = await runCli(
    ['stage', 'up', 'redis', '--directory', join(folder, '.holdfast')],
    { variables: { ...variables, TMPDIR: '/does/not/exist' } },
  );
  expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
  expect(stderr).toContain('TMPDIR');
  const compose = await endOf(start('up', 'redis', '--stage', 'compose'));
  expect(compose.exitCode).toBe(2);
  expect(compose.stderr.replaceAll(/\s+/g, ' ')).toContain("use '--stage docker'");
});
