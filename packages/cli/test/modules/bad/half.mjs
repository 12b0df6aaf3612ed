export default () => ({ add: () => undefined });
