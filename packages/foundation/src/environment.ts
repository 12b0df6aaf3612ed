/**
 * The environment variables of the process: the one place that reads them, so that a caller can pass others.
 * What is set here reaches the processes started later.
 */
export const environment: NodeJS.ProcessEnv = process.env;
