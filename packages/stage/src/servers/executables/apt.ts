/**
 * A configuration by which apt uses `folder` alone: its own package lists and downloads, and no hooks of the
 * machine's administrator, which expect root. Format: apt.conf(5).
 */
export function aptConf(folder: string): string {
  return [
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    `Dir::State::Lists "${folder}/lists";`,
    `Dir::Cache "${folder}/cache";`,
    'Acquire::Languages "none";',
    'Acquire::Retries "2";',
    '',
  ].join('\n');
}

/**
 * The libraries that packages depend on, from the output of `apt-cache depends`. Without libc6, which must be
 * from the same build as the machine's loader.
 */
export function libraryDependencies(printed: string): string[] {
  const names = [...printed.matchAll(/^ [ |](?:Pre)?Depends: (lib[\w.+-]+)$/gm)].map(
    ([, name = '']) => name,
  );
  return [...new Set(names)].filter((name) => name !== 'libc6');
}

/** The shared objects that are missing for a program, from the output of `ldd`. */
export function missingLibraries(printed: string): string[] {
  return [...printed.matchAll(/^\s*(\S+) => not found$/gm)].map(([, name = '']) => name);
}
