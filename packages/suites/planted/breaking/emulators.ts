import type { PlantedBug } from '../planted-bug.ts';

export const emulatorBugs: readonly PlantedBug[] = [
  {
    name: 'the emulated eSIM Go lets requests through at the end of a window',
    file: 'packages/emulators/src/esim-go/api/rate-limit.ts',
    sound: 'const window = Math.floor(sinceStartMs / windowMs);',
    broken: 'const window = Math.round(sinceStartMs / windowMs);',
    tests: { path: 'packages/emulators/test/esim-go/rate-limit', name: 'ten requests a second' },
  },
  {
    name: 'a bundle of the emulated eSIM Go is found by names that are not its own',
    file: 'packages/emulators/src/esim-go/catalog/synthetic-catalog.ts',
    sound: 'return nameOf(partsOf(row)) === name ? row : undefined;',
    broken: 'return row;',
    tests: { path: 'packages/emulators/test/esim-go/catalogue', name: 'found by its name' },
  },
  {
    name: 'the emulated eSIM Go writes a page without waiting for its client',
    file: 'packages/emulators/src/esim-go/http-handler.ts',
    sound: "if (!response.write(piece)) await once(response, 'drain', { signal });",
    broken: 'response.write(piece);',
    tests: { path: 'packages/emulators/test/esim-go/synthetic', name: 'as fast as its client' },
  },
  {
    name: 'faults that are set again go on counting',
    file: 'packages/emulators/src/esim-go/controls.ts',
    sound: 'for (const each of [[], rules]) {',
    broken: 'for (const each of [rules]) {',
    tests: { path: 'packages/emulators/test/esim-go/faults', name: 'a script of faults' },
  },
];
