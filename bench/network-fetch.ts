/**
 * CPU time of one call of a small JSON answer over a kept connection, server and client in one process, beside
 * `request` of undici and the fetch of the platform. Exits with 1 when the ratio to the platform's fetch is over its bar.
 */
import { createServer } from 'node:http';
import { createResilientFetch } from '@holdfast/network';
import { Agent, request } from 'undici';
import { type Contender, inTurns } from './measuring/rounds.ts';

const CALLS = 2_000;
const CONCURRENCY = 20;
const ROUNDS = 9;
/** One call of ours costs at most as much as one of the platform's fetch, and half as much again. */
const BAR = 1.5;

const body = JSON.stringify({ id: 1, name: 'esim_1GB_7D_DE_V2', countries: ['DE'], price: 1.19 });
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(body);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = server.address();
const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;

/** CPU microseconds of one call, those of the server included. */
function calling(name: string, call: () => Promise<unknown>): Contender<number> {
  return {
    name,
    async round() {
      const before = process.cpuUsage();
      const worker = async (): Promise<void> => {
        for (let at = 0; at < CALLS / CONCURRENCY; at += 1) await call();
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, worker));
      const { user, system } = process.cpuUsage(before);
      return (user + system) / CALLS;
    },
  };
}

const ours = createResilientFetch({ allowPrivate: true });
const dispatcher = new Agent({ connections: CONCURRENCY, allowH2: false });
const contenders = [
  calling('ours', async () => (await ours(url)).text()),
  calling('undici request', async () => (await request(url, { dispatcher })).body.text()),
  calling('global fetch', async () => (await fetch(url)).text()),
];
await inTurns(contenders, 2);
const finished = await inTurns(contenders, ROUNDS);
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const of = (round: ReadonlyMap<string, number>, name: string): number =>
  round.get(name) ?? Number.NaN;
const ratioTo = (name: string): number =>
  median(finished.map((round) => of(round, 'ours') / of(round, name)));

for (const { name } of contenders) {
  const us = median(finished.map((round) => of(round, name)));
  process.stdout.write(`${name}: ${us.toFixed(0)} us CPU a call\n`);
}
const toFetch = ratioTo('global fetch');
process.stdout.write(`ours / undici request: ${ratioTo('undici request').toFixed(2)}\n`);
process.stdout.write(`ours / global fetch: ${toFetch.toFixed(2)} (bar ${BAR})\n`);
if (toFetch > BAR) process.exitCode = 1;
await ours.close();
await dispatcher.close();
server.closeAllConnections();
server.close();
