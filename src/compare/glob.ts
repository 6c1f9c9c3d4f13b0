/** A glob of the budget → whether a text is meant by it. */

/** `*` stands for any text. Matched piece by piece: a glob made into a regular expression can be made to run for ever. */
export function globMatcher(glob: string): (text: string) => boolean {
  const [head, ...pieces] = glob.split('*') as [string, ...string[]];
  const tail = pieces.pop();
  if (tail === undefined) return (text) => text === head;
  return (text) => {
    if (!text.startsWith(head) || !text.endsWith(tail) || text.length < head.length + tail.length) return false;
    let from = head.length;
    for (const piece of pieces) {
      const at = text.indexOf(piece, from);
      if (at < 0) return false;
      from = at + piece.length;
    }
    return from <= text.length - tail.length;
  };
}
