import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS, type Stage, openStage } from '@holdfast/stage';
import { parseAllDocuments } from 'yaml';
import { EXAMPLES, type ExampleFixture, openExamples } from '../../src/examples/example.ts';
import { postOrder, statusOf } from '../../src/examples/orders.ts';
import { waitUntil } from '../../src/wait-until.ts';

const FOLDER = join(EXAMPLES, 'kubernetes');
let stage: Stage<{ redis: true }>;
let fixture: ExampleFixture;

beforeAll(async () => {
  stage = await openStage({ redis: true });
  fixture = openExamples();
}, STAGE_OPEN_TIMEOUT_MS);

afterAll(async () => {
  await fixture.close();
  await stage.close();
});

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

/** The stateful set of the manifests, with its only container. */
async function manifest() {
  const text = await readFile(join(FOLDER, 'k8s/orders.yaml'), 'utf8');
  const documents = parseAllDocuments(text);
  expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
  const [set, service, budget] = documents.map((document) => document.toJS());
  const { spec } = set.spec.template;
  const [container] = spec.containers;
  const probes: Record<'startup' | 'readiness' | 'liveness', Probe> = {
    startup: container.startupProbe,
    readiness: container.readinessProbe,
    liveness: container.livenessProbe,
  };
  const env = new Map<string, string>(
    container.env.map(({ name, value }: Record<'name' | 'value', string>) => [name, value]),
  );
  return { set, service, budget, pod: spec, container, probes, env };
}

test('the pod is no longer ready before its server closes, and all of it fits into its grace period', async () => {
  const { pod, probes, env } = await manifest();
  const source = await readFile(join(FOLDER, 'server.ts'), 'utf8');
  const constant = (name: string): number =>
    Number(new RegExp(`const ${name} = ([\\d_]+)`).exec(source)?.[1]?.replaceAll('_', ''));
  const drainMs = Number(env.get('DRAIN_MS'));
  const { periodSeconds, failureThreshold } = probes.readiness;
  expect(drainMs).toBeGreaterThan(periodSeconds * failureThreshold * 1_000);
  const closingMs = drainMs + constant('REQUEST_DEADLINE_MS') + constant('CLOSE_DEADLINE_MS');
  expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(closingMs + 5_000);
});

test('the manifests agree with one another: ports, volumes, labels and a directory for each pod', async () => {
  const { set, service, budget, container, env } = await manifest();
  expect(set.kind).toBe('StatefulSet');
  const labels = set.spec.template.metadata.labels;
  for (const selector of [
    set.spec.selector.matchLabels,
    service.spec.selector,
    budget.spec.selector.matchLabels,
  ]) {
    expect(selector).toEqual(labels);
  }
  expect(set.spec.serviceName).toBe(service.metadata.name);
  expect(String(container.ports[0].containerPort)).toBe(env.get('PORT'));
  expect(service.spec.ports[0].targetPort).toBe(container.ports[0].name);
  const [claim] = set.spec.volumeClaimTemplates;
  const [mount] = container.volumeMounts;
  expect(mount.name).toBe(claim.metadata.name);
  expect(env.get('JOBS_DIRECTORY')?.startsWith(`${mount.mountPath}/`)).toBe(true);
  expect(claim.spec.accessModes).toEqual(['ReadWriteOncePod']);
  expect(budget.spec.minAvailable).toBeLessThan(set.spec.replicas);
});

test('the service answers each probe, stays ready and alive without Redis, and at SIGTERM serves until it is not sent to', async () => {
  const { probes } = await manifest();
  const service = fixture.start({
    folder: FOLDER,
    entry: 'server.ts',
    env: {
      REDIS_URL: stage.redis.url,
      JOBS_DIRECTORY: await fixture.directory(),
      DRAIN_MS: '1000',
    },
  });
  const url = await service.url();
  const statuses = (): Promise<number[]> =>
    Promise.all(Object.values(probes).map(({ httpGet }) => statusOf(url + httpGet.path)));
  expect(await statuses()).toEqual([200, 200, 200]);
  await stage.redis.kill();
  expect(await postOrder(url)).toMatchObject({ accepted: 'journal' });
  expect(await statuses()).toEqual([200, 200, 200]);

  const stopped = service.stop();
  await waitUntil(async () => (await statusOf(url + probes.readiness.httpGet.path)) === 503);
  expect(await statusOf(url + probes.liveness.httpGet.path)).toBe(200);
  expect(await postOrder(url)).toMatchObject({ accepted: 'journal' });
  expect(await stopped).toBe(0);
  await expect(statusOf(url)).rejects.toThrow('fetch failed');
});
