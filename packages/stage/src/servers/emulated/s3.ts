import type { FaultRule, S3Credentials, S3RequestRecord } from '@holdfast/emulators';
import { faultRulesRule, parseS3Settings, type S3Settings } from '@holdfast/emulators/programs';
import type { OptionRule } from '@holdfast/foundation';
import type { ServerHandle } from '../../handle/handle.ts';
import { imageOf } from '../../images.ts';
import type { Environment } from '../../system/executable.ts';
import {
  type ServerTopology,
  changedOptions,
  composeServices,
  localOnly,
} from '../../topology/topology.ts';
import {
  emulatedRule,
  emulatedServer,
  type RequestRecords,
  requestRecords,
  unsupportedControls,
} from './emulated-server.ts';
import { probeHttp } from './http-probe.ts';

/**
 * An S3, path style: an emulated server in mode `local`, RustFS in Docker and compose. Faults and requests are
 * supported by the emulated server alone; elsewhere their verbs reject with FaultUnsupportedError.
 */
export interface S3 extends ServerHandle, RequestRecords<S3RequestRecord> {
  readonly region: 'us-east-1';
  /** Those of the owner of the buckets. */
  readonly credentials: S3Credentials;
  /**
   * Replaces all faults; an empty list heals.
   * @throws InvalidOptionError; StageStateError while it does not run; StageControlError
   */
  setFaults(faults: readonly FaultRule[]): Promise<void>;
}

/** `true`: an empty S3. */
export const s3Rule: OptionRule<S3Settings> = emulatedRule(parseS3Settings);

const RUSTFS_PORT = 9_000;

export function s3Topology(settings: S3Settings, env: Environment): ServerTopology<S3> {
  const { accessKeyId, secretAccessKey, accounts = [], faults } = settings;
  const image = imageOf('s3', env);
  const isPlain = accounts.length === 0 && faults.length === 0;
  const changed = changedOptions(settings, parseS3Settings('openStage', {}));
  const emulated: ServerTopology<S3> = emulatedServer(
    {
      name: 's3',
      program: 's3',
      settings,
      scheme: 'http',
      docker: isPlain
        ? { available: true, images: [image] }
        : localOnly('s3 with accounts or faults runs as a process of this machine only'),
      compose: composeServices(
        ['s3'],
        changed.map((option) => `s3.${option}`),
        'storage',
      ),
      probe: (endpoint, signal) => probeHttp(endpoint, '/health', signal),
      container: {
        image,
        port: RUSTFS_PORT,
        command: ['/data'],
        files: [],
        env: { RUSTFS_ACCESS_KEY: accessKeyId, RUSTFS_SECRET_KEY: secretAccessKey },
      },
      api: (_handle, client) => ({
        region: 'us-east-1' as const,
        credentials: { accessKeyId, secretAccessKey },
        setFaults: (given: readonly FaultRule[]) =>
          client.change('setFaults', (present) => ({
            ...present,
            faults: faultRulesRule.parse(given, 'faults', 's3.setFaults'),
          })),
        ...requestRecords<S3RequestRecord>(client),
      }),
    },
    env,
  );
  const containerVariant: ServerTopology<S3> = {
    ...emulated,
    toHandle: (handles, context) =>
      Object.assign(
        emulated.toHandle(handles, context),
        unsupportedControls('s3', 'it is RustFS', `Use mode 'local'`),
      ),
  };
  return { ...emulated, containerVariant };
}
