import type { OptionRule } from '@holdfast/foundation';
import { type ServerTopology, composeServices, singleServer } from '../../topology/topology.ts';
import { FaultUnsupportedError } from '../../errors.ts';
import { imageOf } from '../../images.ts';
import { locateNode, nodeServer } from './emulated-server.ts';
import { createControlClient } from './control-client.ts';
import type { Environment, ServerSpec } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import type { FaultRule, S3Credentials, S3RequestRecord } from '@holdfast/emulators';
import { faultRulesRule, parseS3Settings, type S3Settings } from '@holdfast/emulators/programs';
import { probeHttp } from './http-probe.ts';

/** An S3, path style. Locally it is this package's own; in Docker and compose RustFS. */
export interface S3 extends ServerHandle {
  readonly region: 'us-east-1';
  /** Of who owns the buckets. */
  readonly credentials: S3Credentials;
  /**
   * Replaces all faults; an empty list heals. Only where the server is this package's own.
   * @throws InvalidOptionError; StageStateError while it does not run; StageControlError; elsewhere
   * FaultUnsupportedError, as those below
   */
  setFaults(faults: readonly FaultRule[]): Promise<void>;
  /** What it was asked, the newest 10 000 requests. Only where the server is this package's own. */
  requests(): Promise<readonly S3RequestRecord[]>;
  /** Forgets what it was asked so far. */
  forgetRequests(): Promise<void>;
}

/** `true` stands for one with nothing in it. */
export const s3Rule: OptionRule<S3Settings> = {
  permitted: 'true or an object',
  parse: (value, field, owner) => parseS3Settings(owner, value === true ? {} : value, field),
};

const RUSTFS_PORT = 9_000;

export function s3Topology(settings: S3Settings, env: Environment): ServerTopology<S3> {
  const { accessKeyId, secretAccessKey, accounts = [], faults } = settings;
  const image = imageOf('s3', env);
  const isPlain = accounts.length === 0 && faults.length === 0;
  const solo = singleServer({
    docker: isPlain
      ? { available: true, images: [image] }
      : {
          available: false,
          reason: 's3 with accounts or faults is a process of this machine only',
        },
    compose: composeServices(['s3'], changedIn(settings)),
    locate: locateNode,
    cast(address): ServerSpec {
      const { container: _, ...program } = nodeServer(
        {
          name: 's3',
          program: 's3',
          settings,
          network: 'bridge',
          url: ({ host, port }) => `http://${host}:${port}`,
          probe: (at, signal) => probeHttp(at, '/health', signal),
        },
        address,
        env,
      );
      return {
        ...program,
        container: {
          image,
          port: RUSTFS_PORT,
          command: ['/data'],
          files: [],
          env: { RUSTFS_ACCESS_KEY: accessKeyId, RUSTFS_SECRET_KEY: secretAccessKey },
        },
      };
    },
  });
  const own: ServerTopology<S3> = {
    ...solo,
    toHandle(handles, context) {
      const handle = solo.toHandle(handles, context);
      const steering = createControlClient(handle, settings, context);
      return Object.assign(handle, {
        region: 'us-east-1' as const,
        credentials: { accessKeyId, secretAccessKey },
        setFaults: (given: readonly FaultRule[]) =>
          steering.change('setFaults', (now) => ({
            ...now,
            faults: faultRulesRule.parse(given, 'faults', 's3.setFaults'),
          })),
        async requests() {
          return requestsIn(await steering.readLog('requests'));
        },
        forgetRequests: () => steering.clearLog('forgetRequests'),
      });
    },
  };
  const containerVariant: ServerTopology<S3> = {
    ...own,
    toHandle(handles, context) {
      const cannot = (attempted: string) => (): Promise<never> => {
        const reason = 'it is RustFS';
        return Promise.reject(
          new FaultUnsupportedError('s3', attempted, reason, `Use mode 'local'`),
        );
      };
      return Object.assign(own.toHandle(handles, context), {
        setFaults: cannot('tell it what is wrong with it'),
        requests: cannot('read what it was asked'),
        forgetRequests: cannot('forget what it was asked'),
      });
    },
  };
  return { ...own, containerVariant };
}

/** Options that are not as they are without being given. */
function changedIn(settings: S3Settings): string[] {
  const plain = new Map<string, unknown>(Object.entries(parseS3Settings('openStage', {})));
  return Object.entries(settings)
    .filter(([option, value]) => JSON.stringify(value) !== JSON.stringify(plain.get(option)))
    .map(([option]) => `s3.${option}`);
}

/** Both ends are this package's own, so the list is what the program wrote. */
function requestsIn(said: unknown): readonly S3RequestRecord[] {
  return Array.isArray(said) ? said : [];
}
