/**
 * Calls `make` again only when its argument differs from that of the last call, compared as JSON: faults that a
 * change of other settings leaves as they are keep their counters.
 */
export function reuseWhileEqual<Part, Made>(make: (part: Part) => Made): (part: Part) => Made {
  let last: { readonly json: string; readonly made: Made } | undefined;
  return (part) => {
    const json = JSON.stringify(part);
    if (last?.json !== json) last = { json, made: make(part) };
    return last.made;
  };
}
