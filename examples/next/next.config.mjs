/** @type {import('next').NextConfig} */
const config = {
  // Loaded from node_modules as it is, instead of into each bundle.
  serverExternalPackages: ['@holdfast/queue'],
};
export default config;
