import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Project, SLOW_MS, createProject } from './pack.ts';

let project: Project;
beforeAll(async () => {
  project = await createProject(['cli'], []);
}, SLOW_MS);
afterAll(() => project.remove());

const npx = (...args: string[]): Promise<string> =>
  project.run('npx', ['--no', '--', 'holdfast', ...args], { HOLDFAST_STAGE: 'local' });

test(
  'npx holdfast demo, in a folder with the tarball alone, breaks three servers and loses nothing',
  async () => {
    const said = await npx('demo', '--duration', '4');
    expect(said).toContain('killed 3, frozen 3, filled 3: lost 0, doubled 0');
  },
  SLOW_MS,
);

test(
  'npx holdfast stage keeps a server up between commands, and ends it',
  async () => {
    const begun = await npx('stage', 'up', 'redis');
    expect(begun).toMatch(/^REDIS_URL=redis:/m);
    const status: unknown = JSON.parse(
      await readFile(join(project.folder, '.holdfast/stage.json'), 'utf8'),
    );
    expect(status).toMatchObject({ names: ['redis'], mode: 'local' });
    expect(await npx('stage', 'status')).toContain('Up: redis');
    expect(await npx('stage', 'down')).toContain('Ended: redis');
    await expect(npx('stage', 'status')).rejects.toThrow('No stage is up here');
  },
  SLOW_MS,
);

test(
  'npx holdfast --version is that of the tarball, and its completions name its commands',
  async () => {
    expect(await npx('--version')).toBe('0.1.0\n');
    expect(await npx('completions', 'bash')).toContain('demo stage');
  },
  SLOW_MS,
);
