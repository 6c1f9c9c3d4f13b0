/** A capture, or a stretch of one → the places of its arguments, and no more. */
import { type ByteRange, openInput } from '../src/capture/input.ts';
import { Tokenizer } from '../src/capture/tokenize.ts';

/** Returns the number of records. */
export async function tokenize(path: string, range?: ByteRange): Promise<number> {
  const tokenizer = new Tokenizer();
  const input = await openInput(path, range);
  for await (const _ of input.feed(tokenizer)) while (tokenizer.next());
  await input.close();
  return tokenizer.parsed;
}
