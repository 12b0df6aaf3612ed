module.exports = {
  apps: [
    {
      name: 'orders',
      script: 'server.ts',
      interpreter: 'node',
      exec_mode: 'cluster',
      instances: 2,
      // The number of an instance; its successor gets it too.
      instance_var: 'NODE_APP_INSTANCE',
      // From SIGINT to SIGKILL: longer than the deadlines of the server and of the queue together.
      kill_timeout: 15_000,
      // Started once it has sent 'ready'.
      wait_ready: true,
    },
  ],
};
