/** Asks twice for a name and ends: what is left of an idle resolver must not hold the process. */
import { createResolver } from '@holdfast/network';

const [server = '', name = ''] = process.argv.slice(2);
const resolver = createResolver({ nameservers: [server] });
await resolver.resolve(name, { family: 4 });
await resolver.resolve(name, { family: 4 });
resolver.watch(name);
process.stdout.write('asked');
