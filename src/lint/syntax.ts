/** Lua text → syntax tree as the servers' own compiler would see it, or what is wrong with it and where. */

import type * as lua from 'luaparse';
import luaparse from 'luaparse';
import { messageOf } from '../errors.ts';

export type Node = lua.Node;
export type Expression = lua.Expression;
export type Chunk = lua.Chunk;
export type FunctionNode = lua.FunctionDeclaration;
export type Identifier = lua.Identifier;
export type CallNode = lua.CallExpression | lua.TableCallExpression | lua.StringCallExpression;
export type LoopNode = lua.WhileStatement | lua.RepeatStatement | lua.ForNumericStatement | lua.ForGenericStatement;

interface SyntaxProblem {
  /** Byte at which it was noticed. */
  offset: number;
  message: string;
}

export type Parsed = { chunk: Chunk; comments: lua.Comment[] } | { problem: SyntaxProblem };

interface Token {
  type: number;
  value: string | number | boolean | null;
  range: [number, number];
}

/** Token types of luaparse, which it does not export as types. */
const EOF = 1;
const KEYWORD = 4;
const OPTIONS = {
  luaVersion: '5.1',
  encodingMode: 'pseudo-latin1',
  comments: true,
  scope: false,
  ranges: true,
} as const;

/** Bytes `[start, end)` of a node, in the text that was parsed. */
export const rangeOf = (node: Node): [start: number, end: number] =>
  (node as unknown as { range: [number, number] }).range;

/**
 * `text`: one character per byte (latin1), as servers see scripts. Parses Lua 5.1; what luaparse 0.3.1 gets wrong is
 * mended: `break;` is accepted, `f(,1)` and `return ,1` are refused, deep nesting is a problem and not a crash.
 */
export function parseLua(text: string): Parsed {
  if (/\(\s*,|\breturn\s*,/.test(text)) {
    const offset = strayComma(text);
    if (offset !== undefined) return { problem: { offset, message: "unexpected symbol near ','" } };
  }
  const first = attempt(text);
  if ('chunk' in first || !/\bbreak\s*;/.test(text)) return first;
  return attempt(withoutBreakSemicolons(text) ?? text);
}

function attempt(text: string): Parsed {
  try {
    const chunk = luaparse.parse(text, OPTIONS);
    return { chunk, comments: (chunk.comments ?? []) as lua.Comment[] };
  } catch (error) {
    if (error instanceof RangeError) return { problem: { offset: 0, message: 'nested too deeply' } };
    const { index = 0 } = error as { index?: number };
    return { problem: { offset: index, message: messageOf(error).replace(/^\[\d+:\d+\] /, '') } };
  }
}

/** Lua's tokens; undefined where the text has something that is none. */
function tokensOf(text: string): Token[] | undefined {
  const tokens: Token[] = [];
  try {
    const lexer = luaparse.parse(text, { ...OPTIONS, wait: true });
    for (;;) {
      const token = lexer.lex() as unknown as Token;
      if (token.type === EOF) return tokens;
      tokens.push({ ...token, range: [...token.range] });
    }
  } catch {
    return undefined;
  }
}

function strayComma(text: string): number | undefined {
  const tokens = tokensOf(text) ?? [];
  return tokens.find(({ value }, i) => {
    const before = tokens[i - 1];
    return value === ',' && (before?.value === '(' || (before?.type === KEYWORD && before.value === 'return'));
  })?.range[0];
}

function withoutBreakSemicolons(text: string): string | undefined {
  const tokens = tokensOf(text);
  if (tokens === undefined) return undefined;
  const characters = [...text];
  for (const [i, { value, range }] of tokens.entries()) {
    const before = tokens[i - 1];
    if (value === ';' && before?.type === KEYWORD && before.value === 'break') characters[range[0]] = ' ';
  }
  return characters.join('');
}

/** The nodes directly below, in the order of the source. */
export function childrenOf(node: Node): Node[] {
  const children: Node[] = [];
  for (const [key, value] of Object.entries(node)) {
    if (key === 'comments' || key === 'range' || typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (const item of value) if (isNode(item)) children.push(item);
    } else if (isNode(value)) children.push(value);
  }
  return children;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

/** What a call passes, whichever way it is written: `f(a)`, `f{…}`, `f'…'`. */
export function argumentsOf(node: CallNode): Expression[] {
  if (node.type === 'CallExpression') return node.arguments;
  return [node.type === 'StringCallExpression' ? node.argument : node.arguments];
}

export const isCall = (node: Node): node is CallNode =>
  node.type === 'CallExpression' || node.type === 'TableCallExpression' || node.type === 'StringCallExpression';

const EXPRESSIONS = new Set<string>([
  'Identifier',
  'StringLiteral',
  'NumericLiteral',
  'BooleanLiteral',
  'NilLiteral',
  'TableConstructorExpression',
  'BinaryExpression',
  'LogicalExpression',
  'UnaryExpression',
  'MemberExpression',
  'IndexExpression',
  'CallExpression',
  'TableCallExpression',
  'StringCallExpression',
]);

/** Functions and `...` aside, whatever has a value. */
export const isExpression = (node: Node): node is Expression => EXPRESSIONS.has(node.type);

export const isLoop = (node: Node): node is LoopNode =>
  node.type === 'WhileStatement' ||
  node.type === 'RepeatStatement' ||
  node.type === 'ForNumericStatement' ||
  node.type === 'ForGenericStatement';
