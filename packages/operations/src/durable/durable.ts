/**
 * Durable runs: functions whose finished steps are remembered, so that another process goes on where one died.
 *
 * What a runner promises:
 * - **Steps**: a step that returned is never run again in that run; its stored result is returned instead. A step that
 *   was interrupted runs again, so its effect carries the fence token and the idempotency key it is given.
 * - **Takeover**: a run of a process that died or stalled goes on in another within one lease and a second.
 * - **Fencing**: every takeover has a higher token. Whatever takes effects compares it and refuses a lower one.
 * - **Order**: the steps of a run follow one another; runs are independent of each other.
 */
/** What is stored: a value that JSON keeps as it is. */
export type Durable =
  | null
  | boolean
  | number
  | string
  | readonly Durable[]
  | { readonly [key: string]: Durable };

/** What a run's function is given. */
export interface DurableContext {
  /** The id of the run, which is the same after a takeover. */
  readonly runId: string;
  /** Aborts when the run is cancelled, its lease is lost, or the runner closes. */
  readonly signal: AbortSignal;
  /**
   * Runs the function once and stores what it returns. An error it throws is stored too, unless the run was interrupted.
   *
   * @throws {StepFailedError} with what is stored of the step's error: the same in the first process and in a later one.
   * @throws {StepConflictError} if the name was used before in this run for another step or sleep.
   * @throws {RunInterruptedError} if the run is no longer this process's: let it pass.
   */
  step<Value extends Durable>(
    name: string,
    run: (step: StepContext) => Promise<Value>,
    options?: StepOptions,
  ): Promise<Value>;
  /** Waits until that long after this call was first reached, over restarts too. */
  sleep(name: string, delayMs: number): Promise<void>;
  /** Waits for the next message by `send`, which may come before; `undefined` after the timeout. */
  receive(topic: string, options: { readonly timeoutMs: number }): Promise<Durable | undefined>;
}

/** What a step is given for its effect on the world outside. */
export interface StepContext {
  /** Rises with every takeover of the run: a resource that has seen a higher one refuses this effect. */
  readonly fence: bigint;
  /** The same for each attempt at this step of this run. */
  readonly idempotencyKey: string;
  /** Aborts with the run's signal, and at the step's timeout. */
  readonly signal: AbortSignal;
  /** 1 for the first attempt of this process at the step. */
  readonly attempt: number;
}

/** How often and how long a step is tried. */
export interface StepOptions {
  /** Attempts before the error is the step's outcome. Default: 1. */
  readonly maxAttempts?: number;
  /** The longest that one attempt may take, in milliseconds. Default: 600,000. */
  readonly timeoutMs?: number;
  /** The delay before the second attempt, in milliseconds; it doubles with each. Default: 1,000. */
  readonly initialDelayMs?: number;
  /** Whether an error is worth another attempt. Default: all are. */
  readonly shouldRetry?: (error: unknown) => boolean;
}

/** A function that a runner can run. It does the same steps in the same order whenever its inputs and steps' results are the same. */
export type RunFunction<Input extends Durable, Output extends Durable> = (
  context: DurableContext,
  input: Input,
) => Promise<Output>;

/** The functions a runner knows, by name: registered before it starts, so that it can take over any run. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each function has an input and an output of its own.
export type RunFunctions = Readonly<Record<string, RunFunction<any, any>>>;

/** The input of a function; `null` for one that takes none. */
export type InputOf<Function extends RunFunctions[string]> = Parameters<Function>['length'] extends
  | 0
  | 1
  ? null
  : Parameters<Function>[1];

/** A run as it stands: */
export type RunState =
  | { readonly state: 'pending' }
  | { readonly state: 'running'; readonly step: string | undefined; readonly fence: bigint }
  | { readonly state: 'succeeded'; readonly output: Durable }
  | { readonly state: 'failed'; readonly error: string }
  | { readonly state: 'cancelled' };

/** One run in a list. */
export type RunSummary = RunState & {
  readonly runId: string;
  readonly name: string;
  readonly createdAtMs: number;
  /** When a step of it last ended: what the watchdog measures. */
  readonly progressAtMs: number;
};

/** What every call of a runner takes. */
export interface RunnerCallOptions {
  /** Ends the wait with its reason; what was stored stays stored. */
  readonly signal?: AbortSignal;
}

/** The port of all runners. */
export interface DurableRunner<
  Functions extends RunFunctions = RunFunctions,
> extends AsyncDisposable {
  /**
   * Starts a run, or finds the one that has this id.
   *
   * @returns once the run is stored: from then on some process finishes it.
   * @throws {UnknownRunFunctionError} for a name that was not registered.
   * @throws {RunConflictError} if the id belongs to another function or input.
   */
  start<Name extends keyof Functions & string>(
    name: Name,
    input: InputOf<Functions[Name]>,
    options: RunnerCallOptions & { readonly runId: string },
  ): Promise<void>;
  /**
   * Waits until the run has ended, in whichever process.
   *
   * @throws {RunFailedError} if it failed.
   * @throws {RunCancelledError} if it was cancelled.
   * @throws {UnknownRunError} if there is none.
   */
  result(runId: string, options?: RunnerCallOptions): Promise<Durable>;
  /**
   * Gives a run a message, which it takes by `receive`; stored before this settles.
   *
   * @throws {UnknownRunError} if there is none.
   */
  send(runId: string, topic: string, message: Durable, options?: RunnerCallOptions): Promise<void>;
  /**
   * Stops a run before its next step; a step that runs is aborted where it runs. `false` if it had ended.
   *
   * @throws {UnknownRunError} if there is none.
   */
  cancel(runId: string, options?: RunnerCallOptions): Promise<boolean>;
  /** The newest runs first, 100 by default. */
  list(
    filter?: RunnerCallOptions & {
      readonly name?: string;
      readonly state?: RunState['state'];
      readonly limit?: number;
    },
  ): Promise<readonly RunSummary[]>;
  /** Ends taking runs, aborts those that run here and gives them back, so that others go on at once. */
  close(): Promise<void>;
}
