/** The environment variables of the process: the one place that reads them, so that a caller can pass others. */
export const environment: Readonly<Record<string, string | undefined>> = process.env;
