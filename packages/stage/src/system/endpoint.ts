/** The host and port that a server listens on. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}
