/** The scale subresource of Kubernetes as a target; needs `@kubernetes/client-node`. */
import type { AppsV1Api, V1Scale } from '@kubernetes/client-node';
import { objectWith, oneOf, parseOptions, propertyOf, string } from '@holdfast/foundation';
import { ScalingConflictError } from './errors.ts';
import type { ScalingTarget } from './scaling.ts';

/** Options of `kubernetesTarget`. */
export interface KubernetesTargetOptions {
  /** `kubeConfig.makeApiClient(AppsV1Api)`. */
  api: AppsV1Api;
  /** The namespace of the workload. */
  namespace: string;
  /** Its name. */
  name: string;
  /** Default `'deployment'`. */
  kind?: 'deployment' | 'statefulset';
}

const CONFLICT = 409;
const NAME_LENGTH = 253;
const schema = {
  api: objectWith<AppsV1Api>(['readNamespacedDeploymentScale', 'replaceNamespacedDeploymentScale']),
  namespace: string({ maxLength: NAME_LENGTH }),
  name: string({ maxLength: NAME_LENGTH }),
  kind: oneOf(['deployment', 'statefulset'], 'deployment'),
};

/**
 * A Deployment or StatefulSet, whose number is replaced only in the version that it was read in: a change of somebody
 * else's is not overwritten.
 * @throws InvalidOptionError
 */
export function kubernetesTarget(options: KubernetesTargetOptions): ScalingTarget {
  const { api, namespace, name, kind } = parseOptions('kubernetesTarget', schema, options);
  const isDeployment = kind === 'deployment';
  const readScale = (): Promise<V1Scale> =>
    isDeployment
      ? api.readNamespacedDeploymentScale({ namespace, name })
      : api.readNamespacedStatefulSetScale({ namespace, name });
  const replaceScale = (body: V1Scale): Promise<V1Scale> =>
    isDeployment
      ? api.replaceNamespacedDeploymentScale({ namespace, name, body })
      : api.replaceNamespacedStatefulSetScale({ namespace, name, body });
  return {
    async read({ signal }) {
      signal.throwIfAborted();
      return (await readScale()).spec?.replicas ?? 0;
    },
    async write(replicas, from, { signal }) {
      signal.throwIfAborted();
      const { apiVersion, kind: type, metadata, spec } = await readScale();
      if ((spec?.replicas ?? 0) !== from) throw new ScalingConflictError(name, from);
      signal.throwIfAborted();
      try {
        const scale: V1Scale = { spec: { replicas } };
        if (apiVersion !== undefined) scale.apiVersion = apiVersion;
        if (type !== undefined) scale.kind = type;
        // With the version that was read, which makes the server refuse an older one.
        if (metadata !== undefined) scale.metadata = metadata;
        await replaceScale(scale);
      } catch (error) {
        if (propertyOf(error, 'code') === CONFLICT)
          throw new ScalingConflictError(name, from, error);
        throw error;
      }
    },
  };
}
