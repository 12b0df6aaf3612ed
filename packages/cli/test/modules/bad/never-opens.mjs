/** Opens, accepts and never answers anything else. */
export default () => new Promise(() => undefined);
