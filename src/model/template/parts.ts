/** The words of templates: what kinds of placeholder there are, and a template's parts as text. */

/** In the order of their numbers inside the miner, where 0 is a constant word. */
export const PLACEHOLDERS = ['int', 'hex', 'uuid', 'date', 'email', 'ip', 'word', 'id'] as const;
type Placeholder = (typeof PLACEHOLDERS)[number];

/** A template's parts in order: constant text (printable ASCII), or a placeholder. No two constants are neighbours. */
export type Part = string | { placeholder: Placeholder };

/** Number of a token's kind; constant words are 0. */
export const Kind = { constant: 0, int: 1, hex: 2, uuid: 3, date: 4, email: 5, ip: 6, word: 7, id: 8 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** `session:{id}`, as people read and budgets name it. */
export function templateText(parts: Part[]): string {
  return parts.map((part) => (typeof part === 'string' ? part : `{${part.placeholder}}`)).join('');
}
