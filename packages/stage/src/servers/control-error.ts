import { HoldfastError } from '@holdfast/foundation';

/** A server of the stage did not take what it was told; it goes on as before. */
export class StageSteeringError extends HoldfastError {
  readonly code = 'STAGE_STEERING_REFUSED';
  readonly server: string;

  constructor(server: string, verb: string, said: string) {
    super(`${server}.${verb}() was refused by the server: ${said}`, { outcome: 'not-applied' });
    this.server = server;
  }
}
