/** Conditions around a place: when it is reached, and whether the server was asked for its version first. */
import type { Script } from './program.ts';
import { type Expression, isExpression, type Node } from './syntax.ts';
import type { Value } from './values.ts';

/** A condition around a place. */
export interface Guard {
  condition: Expression;
  /** Whether the place is reached when the condition holds, or when it does not. */
  holds: boolean;
}

/** Conditions under which a node is reached, innermost first, within its function. */
export function guardsAround(script: Script, node: Node): Guard[] {
  const guards: Guard[] = [];
  for (let child = node, at = script.scopes.parentOf(node); at; child = at, at = script.scopes.parentOf(at)) {
    if (at.type === 'FunctionDeclaration') break;
    if ((at.type === 'IfClause' || at.type === 'ElseifClause') && child !== at.condition) {
      guards.push({ condition: at.condition, holds: true });
    }
    if (at.type === 'IfStatement') {
      for (const clause of at.clauses) {
        if (clause === child) break;
        if (clause.type !== 'ElseClause') guards.push({ condition: clause.condition, holds: false });
      }
    }
    if (at.type === 'LogicalExpression' && child === at.right) {
      guards.push({ condition: at.left, holds: at.operator === 'and' });
    }
    if (at.type === 'WhileStatement' && child !== at.condition) guards.push({ condition: at.condition, holds: true });
    // `if not x then return end` before the place guards what follows it.
    const body = bodyOf(at);
    if (body?.includes(child as never)) {
      for (const statement of body.slice(0, body.indexOf(child as never))) {
        if (statement.type !== 'IfStatement') continue;
        for (const clause of statement.clauses) {
          if (clause.type === 'ElseClause' || !leaves(clause.body)) continue;
          guards.push({ condition: clause.condition, holds: false });
        }
      }
    }
  }
  return guards;
}

/** Whether the node runs only after the server's version or product was asked, by constant or by probe. */
export function isVersionGuarded(script: Script, node: Node): boolean {
  return guardsAround(script, node).some(({ condition }) => mentionsVersion(script, condition));
}

/** Whether the node runs only where the script has asked for a global or a member of one: `if rawget(_G, 'os') then`. */
export function isAskedFor(script: Script, node: Node, name: string): boolean {
  return guardsAround(script, node).some(({ condition }) =>
    script.scopes.inside(condition).some((child) => {
      if (!isExpression(child) || isName(script, child)) return false;
      const value = script.valueOf(child);
      return value.kind === 'global' && value.name === name;
    }),
  );
}

/** Whether an expression depends on `redis.REDIS_VERSION`, `server`, `VALKEY_VERSION` and the like. */
function mentionsVersion(script: Script, node: Expression): boolean {
  if (!/_VERSION|\bserver\b/.test(script.text)) return false;
  return script.scopes.inside(node).some((child) => {
    if (child.type !== 'Identifier' && child.type !== 'MemberExpression' && child.type !== 'IndexExpression') {
      return child.type === 'StringLiteral' && /^(server|(REDIS|VALKEY)_VERSION)/.test(child.value ?? '');
    }
    if (child.type === 'Identifier' && isName(script, child)) return false;
    return dependsOnVersion(script, script.valueOf(child));
  });
}

function dependsOnVersion(script: Script, value: Value, depth = 0): boolean {
  if (depth > 8) return false;
  switch (value.kind) {
    case 'global':
      return (
        value.name === 'server' || value.name.startsWith('server.') || /(^|\.)(REDIS|VALKEY)_VERSION/.test(value.name)
      );
    case 'library':
      return value.args.some((arg) => dependsOnVersion(script, arg, depth + 1));
    case 'union':
      return value.options.some((option) => dependsOnVersion(script, option, depth + 1));
    case 'element':
      return dependsOnVersion(script, value.of, depth + 1);
    case 'boolean':
      return mentionsVersion(script, value.node);
    default:
      return false;
  }
}

/** Whether the identifier is no value: a member's or a field's name. */
function isName(script: Script, node: Node): boolean {
  const parent = script.scopes.parentOf(node);
  return (
    (parent?.type === 'MemberExpression' && parent.identifier === node) ||
    (parent?.type === 'TableKeyString' && parent.key === node)
  );
}

function bodyOf(node: Node): Node[] | undefined {
  return 'body' in node ? (node.body as Node[]) : undefined;
}

/** Whether a block always leaves the function or the loop. */
function leaves(body: Node[]): boolean {
  const last = body.at(-1);
  if (last?.type === 'CallStatement') {
    const { base } = last.expression;
    return base.type === 'Identifier' && base.name === 'error';
  }
  return last?.type === 'ReturnStatement' || last?.type === 'BreakStatement';
}
