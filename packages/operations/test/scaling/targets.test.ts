import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { AppsV1Api, KubeConfig } from '@kubernetes/client-node';
import { composeTarget } from '@holdfast/operations';
import { kubernetesTarget } from '@holdfast/operations/kubernetes';

const PATH = '/apis/apps/v1/namespaces/shop/deployments/web/scale';
const signal = new AbortController().signal;
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** An API server with one Deployment, which refuses a replacement of an older version as the real one does. */
async function openApiServer() {
  const state = { replicas: 3, version: 1, writes: 0, beforeWrite: (): void => {} };
  const scale = () => ({
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name: 'web', namespace: 'shop', resourceVersion: String(state.version) },
    spec: { replicas: state.replicas },
  });
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const answer = (status: number, body: unknown): void => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      };
      if (request.url !== PATH) return answer(404, { kind: 'Status', code: 404 });
      if (request.method === 'GET') return answer(200, scale());
      state.beforeWrite();
      const body = JSON.parse(Buffer.concat(chunks).toString());
      if (body.metadata.resourceVersion !== String(state.version)) {
        return answer(409, { kind: 'Status', code: 409, reason: 'Conflict' });
      }
      state.replicas = body.spec.replicas;
      state.version += 1;
      state.writes += 1;
      return answer(200, scale());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'fake', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'nobody' },
  );
  return { state, api: config.makeApiClient(AppsV1Api) };
}

test('the scale of a Deployment is read and replaced over the API', async () => {
  const { state, api } = await openApiServer();
  const target = kubernetesTarget({ api, namespace: 'shop', name: 'web' });
  expect(await target.read({ signal })).toBe(3);
  await target.write(5, 3, { signal });
  expect(state).toMatchObject({ replicas: 5, writes: 1 });
});

test('a change of somebody else is not overwritten, also one between the read and the write', async () => {
  const { state, api } = await openApiServer();
  const target = kubernetesTarget({ api, namespace: 'shop', name: 'web' });
  state.replicas = 9;
  await expect(target.write(5, 3, { signal })).rejects.toMatchObject({
    code: 'OPERATIONS_SCALING_CONFLICT',
  });
  state.beforeWrite = () => {
    state.version += 1;
    state.beforeWrite = () => {};
  };
  await expect(target.write(5, 9, { signal })).rejects.toMatchObject({
    code: 'OPERATIONS_SCALING_CONFLICT',
    retryable: true,
  });
  expect(state).toMatchObject({ replicas: 9, writes: 0 });
});

test('a service of compose is scaled without touching the others', async () => {
  const commands: string[] = [];
  const target = composeTarget({
    service: 'web',
    file: 'compose.yml',
    run: (command, args) => {
      commands.push([command, ...args].join(' '));
      return Promise.resolve(args.includes('ps') ? 'id1\nid2\n' : '');
    },
  });
  expect(await target.read({ signal })).toBe(2);
  await target.write(4, 2, { signal });
  expect(commands.at(-1)).toBe(
    'docker compose --file compose.yml up --detach --no-deps --no-recreate --scale web=4 -- web',
  );
  await expect(target.write(4, 7, { signal })).rejects.toMatchObject({
    code: 'OPERATIONS_SCALING_CONFLICT',
  });
});
