import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { types } from 'node:util';
import { classifyFailure } from './classify-failure.ts';

/** The error of opening anything now, if none is left to open; `undefined` otherwise. What else failed may say something else. */
export function shortageOfDescriptors(): Error | undefined {
  try {
    closeSync(openSync(devNull, 'r'));
    return undefined;
  } catch (error) {
    return types.isNativeError(error) && classifyFailure(error) === 'resources' ? error : undefined;
  }
}
