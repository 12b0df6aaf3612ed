import { type IncomingMessage, type Server, createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type ServerHandle, openStage } from '../../src/index.ts';

/** A container engine for one service of compose, whose container is a process of this machine. */
export interface ProcessEngine {
  /** For DOCKER_HOST. */
  readonly host: string;
  /** The server in the container, as its engine sees it. */
  readonly server: ServerHandle;
  /** The requests so far, as `POST /containers/1/start`. */
  readonly requests: readonly string[];
  /** Makes the next requests that contain the text fail with a status. */
  refuse(text: string, status: number, times: number): void;
  /** Compose recreates the service: its container has another id. */
  recreate(): void;
  close(): Promise<void>;
}

/** What the container is said to use of its memory. */
export const USED_BYTES = 7_000_000;

interface Answer {
  readonly status?: number;
  readonly body?: unknown;
}

/** @param service the name of a Redis in the file. */
export async function openProcessEngine(service: string): Promise<ProcessEngine> {
  const stage = await openStage({ mode: 'local', redis: true, link: false, stopTimeoutMs: 30_000 });
  const server = stage.redis;
  const requests: string[] = [];
  const refusals: { text: string; status: number; left: number }[] = [];
  let id = 1;
  let isConnected = true;
  const labels = {
    'com.docker.compose.service': service,
    'com.docker.compose.project': 'test',
    'holdfast.port': String(server.port),
  };
  const inspected = (): object => ({
    Id: String(id),
    State: { Running: server.state !== 'stopped', Paused: server.state === 'frozen' },
    NetworkSettings: { Networks: isConnected ? { test_default: { Aliases: [service] } } : {} },
  });
  /** The engine ends this response when the container has ended. */
  const whenEnded = async (): Promise<Answer> => {
    while (server.state !== 'stopped') await new Promise((resolve) => setImmediate(resolve));
    return { body: { StatusCode: 137 } };
  };
  const verbs: Readonly<Record<string, () => Promise<unknown>>> = {
    start: () => server.start(),
    'kill?signal=SIGKILL': () => server.kill(),
    'kill?signal=SIGTERM': () => server.stop(),
    pause: () => server.freeze(),
    unpause: () => server.thaw(),
  };
  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const { method = '', url = '' } = request;
    const sent = await text(request);
    requests.push(`${method} ${url}${sent === '' ? '' : ` ${sent}`}`);
    const refusal = refusals.find((each) => each.left > 0 && url.includes(each.text));
    if (refusal !== undefined) {
      refusal.left -= 1;
      return { status: refusal.status, body: { message: 'refused' } };
    }
    if (url.startsWith('/containers/json')) return { body: [{ Id: String(id), Labels: labels }] };
    if (url.endsWith('connect')) isConnected = !url.endsWith('disconnect');
    const [, asked, rest = ''] = /^\/containers\/(\d+)\/(.*)$/.exec(url) ?? [];
    if (asked !== undefined && asked !== String(id))
      return { status: 404, body: { message: 'gone' } };
    if (rest === 'json') return { body: inspected() };
    if (rest.startsWith('wait')) return whenEnded();
    if (rest.startsWith('stats')) return { body: { memory_stats: { usage: USED_BYTES } } };
    if (rest.startsWith('logs')) return { body: framed(await server.log()) };
    await verbs[rest]?.();
    return {};
  };
  const engine = createServer((request, response) => {
    answer(request).then(
      ({ status = 200, body = '' }) => {
        const isRaw = Buffer.isBuffer(body) || body === '';
        response.writeHead(status).end(isRaw ? body : JSON.stringify(body));
      },
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  const folder = await mkdtemp(join(tmpdir(), 'hf-'));
  const path = join(folder, 'engine.sock');
  await new Promise<void>((resolve) => void engine.listen(path, resolve));
  return {
    host: `unix://${path}`,
    server,
    requests,
    refuse: (part, status, times) => void refusals.push({ text: part, status, left: times }),
    recreate: () => void (id += 1),
    async close() {
      await stage.close();
      await closed(engine);
      await rm(folder, { recursive: true });
    },
  };
}

/** One frame of the engine's stream of a container's output. */
function framed(printed: string): Buffer {
  const payload = Buffer.from(printed);
  const head = Buffer.alloc(8);
  head.writeUInt8(1);
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
}

async function closed(engine: Server): Promise<void> {
  engine.closeAllConnections();
  await new Promise((resolve) => engine.close(resolve));
}
