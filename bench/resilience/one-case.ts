/** Measures one case (`cpu` or `bytes`, group, name) in a separate process; prints the result as JSON. */
import { costCases, retainedCases } from './cases.ts';
import { bytesOf, costOf } from './cpu-time.ts';
import { PeerMissingError } from './peers.ts';

const [what, group, name] = process.argv.slice(2);

async function measure(): Promise<object> {
  const cost = costCases.find((known) => known.group === group && known.name === name);
  if (cost !== undefined) {
    const operation = await cost.make();
    return what === 'cpu' ? costOf(operation) : { bytes: await bytesOf(operation) };
  }
  const kept = retainedCases.find((known) => known.group === group && known.name === name);
  if (kept === undefined) throw new RangeError(`there is no case ${group}, ${name}`);
  return { bytes: await kept.retained() };
}

try {
  process.stdout.write(JSON.stringify(await measure()));
} catch (error) {
  if (!(error instanceof PeerMissingError)) throw error;
  process.stdout.write(JSON.stringify({ missing: error.message }));
}
// Some peers keep intervals that would keep the process alive.
process.exit();
