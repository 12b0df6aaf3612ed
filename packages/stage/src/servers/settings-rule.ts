import { InvalidOptionError, type OptionRule } from '@holdfast/foundation';

interface SettingsFile {
  /** Such as `redis.conf directive`. */
  readonly entry: string;
  readonly pattern: RegExp;
  /** Entries that the stage sets itself, and their description for errors. */
  readonly isReserved: (name: string) => boolean;
  readonly reserved: string;
}

/** Entries of a server's configuration file, each a string of one line, without those of the stage. */
export function settingsRule({
  entry,
  pattern,
  isReserved,
  reserved,
}: SettingsFile): OptionRule<Readonly<Record<string, string>>> {
  return {
    permitted: `an object from ${entry}s (not ${reserved}) to one-line strings`,
    parse(value, field, owner) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new InvalidOptionError(owner, field, value, this.permitted);
      }
      const settings: Record<string, string> = {};
      for (const [name, setting] of Object.entries(value)) {
        const path = `${field}.${name}`;
        if (!pattern.test(name) || isReserved(name)) {
          throw new InvalidOptionError(owner, path, setting, `a ${entry} other than ${reserved}`);
        }
        if (typeof setting !== 'string' || /[\r\n]/.test(setting)) {
          throw new InvalidOptionError(owner, path, setting, 'a string of one line');
        }
        settings[name] = setting;
      }
      return settings;
    },
    defaultValue: () => ({}),
  };
}
