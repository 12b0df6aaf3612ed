/** Stands in for rustfs/rustfs on a machine without a registry: our own S3, told by the variables of RustFS. */
import { createServer } from 'node:http';
import {
  openS3Handler,
  parseArguments,
  parseS3ServerOptions,
  serve,
} from '@holdfast/emulators/programs';

const { env, argv } = process;
const [, , directory = '/data'] = argv;
const handler = await openS3Handler(
  parseS3ServerOptions({
    accessKeyId: env['RUSTFS_ACCESS_KEY'] ?? '',
    secretAccessKey: env['RUSTFS_SECRET_KEY'] ?? '',
    directory,
  }),
  () => undefined,
);
const server = createServer((incoming, outgoing) => handler.serve(incoming, outgoing));
serve('s3', server, parseArguments(['0.0.0.0', '9000']));
