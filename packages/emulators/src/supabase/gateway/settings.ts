import { InvalidOptionError } from '@holdfast/foundation';

/** The address of the service behind each prefix, such as `/storage/v1`. */
export type GatewayRoutes = Readonly<Record<string, string>>;

/**
 * The routes of a gateway: those given, else the one of `STORAGE_URL`.
 * @throws InvalidOptionError
 */
export function parseGatewayRoutes(
  given: unknown,
  env: Readonly<Record<string, string | undefined>>,
): GatewayRoutes {
  const routes = given ?? { '/storage/v1': env['STORAGE_URL'] };
  if (isRoutes(routes)) return routes;
  const permitted = 'URLs by prefix; for /storage/v1 alone, STORAGE_URL of the environment';
  throw new InvalidOptionError('gateway', 'routes', given, permitted);
}

function isRoutes(value: unknown): value is GatewayRoutes {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.entries(value).every(
      ([prefix, url]) => prefix.startsWith('/') && typeof url === 'string' && URL.canParse(url),
    )
  );
}
