/** Writes what the emulator responds now into `fixtures/responses`: `node packages/emulators/test/esim-go/record-fixtures.ts`. */
import { writeFileSync } from 'node:fs';
import { readRecordings, recordAgain, responsesFolder } from './fixtures.ts';

for (const [file, recording] of readRecordings()) {
  const text = JSON.stringify(recordAgain(recording), undefined, 2);
  writeFileSync(new URL(file, responsesFolder), `${text}\n`);
}
