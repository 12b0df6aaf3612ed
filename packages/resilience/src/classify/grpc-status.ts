import { propertyOf } from '@holdfast/foundation';
import type { ErrorKind } from './error-kind.ts';

/** By number; https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const kindByStatus: readonly (ErrorKind | undefined)[] = [
  /* OK */ undefined,
  /* CANCELLED */ 'aborted',
  /* UNKNOWN */ 'unknown',
  /* INVALID_ARGUMENT */ 'client_error',
  /* DEADLINE_EXCEEDED */ 'network_timeout',
  /* NOT_FOUND */ 'client_error',
  /* ALREADY_EXISTS */ 'client_error',
  /* PERMISSION_DENIED */ 'client_error',
  /* RESOURCE_EXHAUSTED */ 'rate_limited',
  /* FAILED_PRECONDITION */ 'client_error',
  /* ABORTED */ 'conflict',
  /* OUT_OF_RANGE */ 'client_error',
  /* UNIMPLEMENTED */ 'client_error',
  /* INTERNAL */ 'server_error',
  /* UNAVAILABLE */ 'service_unavailable',
  /* DATA_LOSS */ 'server_error',
  /* UNAUTHENTICATED */ 'client_error',
];

/** The kind of an error of grpc-js, whose numeric `code` comes with `details`, or of Connect, with a `rawMessage`. */
export function classifyGrpcError(error: object): ErrorKind | undefined {
  const code = propertyOf(error, 'code');
  const text = propertyOf(error, 'details') ?? propertyOf(error, 'rawMessage');
  return typeof code === 'number' && typeof text === 'string' ? kindByStatus[code] : undefined;
}
