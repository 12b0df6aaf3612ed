/** A failure response, which Toxiproxy writes as `{ error, status }`. */
export interface ApiFailure {
  readonly error: string;
  readonly status: number;
}

export const proxyNotFound: ApiFailure = { error: 'proxy not found', status: 404 };
export const proxyAlreadyExists: ApiFailure = { error: 'proxy already exists', status: 409 };
export const toxicNotFound: ApiFailure = { error: 'toxic not found', status: 404 };
export const toxicAlreadyExists: ApiFailure = { error: 'toxic already exists', status: 409 };
export const invalidToxicType: ApiFailure = { error: 'invalid toxic type', status: 400 };
export const invalidStream: ApiFailure = {
  error: 'stream was invalid, can be either upstream or downstream',
  status: 400,
};

export function missingField(name: string): ApiFailure {
  return { error: `missing required field: ${name}`, status: 400 };
}

export function badRequest(reason: string): ApiFailure {
  return { error: `bad request body: ${reason}`, status: 400 };
}
