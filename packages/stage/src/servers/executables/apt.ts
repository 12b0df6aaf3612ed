/**
 * Settings that let apt work in `folder` alone: package lists and downloads of its own, no hooks of the
 * machine's administrator (which expect root). Format: apt.conf(5).
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
 * The libraries that packages depend on, from what `apt-cache depends` prints. Without libc6: the loader
 * is the machine's, and both must be of one build.
 */
export function libraryDependencies(printed: string): string[] {
  const names = [...printed.matchAll(/^ [ |](?:Pre)?Depends: (lib[\w.+-]+)$/gm)].map(
    ([, name = '']) => name,
  );
  return [...new Set(names)].filter((name) => name !== 'libc6');
}

/** The shared objects a program lacks, from what `ldd` prints. */
export function missingLibraries(printed: string): string[] {
  return [...printed.matchAll(/^\s*(\S+) => not found$/gm)].map(([, name = '']) => name);
}
