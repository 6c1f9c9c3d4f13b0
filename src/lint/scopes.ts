/** Syntax tree → which identifier means which variable, where it is written and read, and what stands around a node. */
import {
  argumentsOf,
  type CallNode,
  type Chunk,
  childrenOf,
  type Expression,
  type FunctionNode,
  type Identifier,
  isCall,
  isLoop,
  type LoopNode,
  type Node,
  rangeOf,
} from './syntax.ts';

/** Where a variable gets a value. */
interface Write {
  /** The statement, function or loop that does it. */
  by: Node;
  /** The expression, where there is one of its own. */
  value?: Expression;
  /** `value` is a call whose result number `result` (from 0) is taken: `local a, b = f()`. */
  result?: number;
}

export interface Variable {
  name: string;
  /** Where it is declared. */
  node: Identifier;
  kind: 'local' | 'parameter' | 'loop' | 'function';
  /** The function it belongs to; undefined for the main chunk. */
  owner: FunctionNode | undefined;
  writes: Write[];
  /** In the order of the source. */
  reads: Identifier[];
}

/** What stands around each node, and what each identifier means. */
export interface Scopes {
  /** Every node, parents before children. */
  nodes: Node[];
  calls: CallNode[];
  loops: LoopNode[];
  functions: FunctionNode[];
  parentOf(node: Node): Node | undefined;
  /** The nodes inside a node, itself first. */
  inside(node: Node): Node[];
  isInside(node: Node, outer: Node): boolean;
  /** The variable that an identifier reads, writes or declares; undefined for a global. */
  variableOf(node: Identifier): Variable | undefined;
  /** Assignments to globals, and functions declared as such. */
  globalWrites: Identifier[];
  /** Reads of globals. */
  globalReads: Identifier[];
  /** The function a node is in; undefined for the main chunk. */
  functionOf(node: Node): FunctionNode | undefined;
}

class Scope {
  private readonly parent: Scope | undefined;
  private readonly variables = new Map<string, Variable>();

  constructor(parent?: Scope) {
    this.parent = parent;
  }

  declare(variable: Variable): void {
    this.variables.set(variable.name, variable);
  }

  find(name: string): Variable | undefined {
    return this.variables.get(name) ?? this.parent?.find(name);
  }
}

export function resolveScopes(chunk: Chunk): Scopes {
  const nodes: Node[] = [];
  const parents = new Map<Node, Node>();
  const variables = new Map<Identifier, Variable>();
  /** Nodes are listed parents first: what is inside one follows it, up to here. */
  const extents = new Map<Node, { from: number; to: number }>();
  const owners = new Map<Node, FunctionNode | undefined>();
  const globalWrites: Identifier[] = [];
  const globalReads: Identifier[] = [];

  const declare = (scope: Scope, node: Identifier, kind: Variable['kind'], owner: FunctionNode | undefined) => {
    const variable: Variable = { name: node.name, node, kind, owner, writes: [], reads: [] };
    variables.set(node, variable);
    scope.declare(variable);
    return variable;
  };
  const enter = (node: Node, parent: Node | undefined, owner: FunctionNode | undefined) => {
    extents.set(node, { from: nodes.length, to: nodes.length + 1 });
    nodes.push(node);
    if (parent) parents.set(node, parent);
    owners.set(node, owner);
  };
  const writesOf = (by: Node, targets: Node[], init: Expression[], write: (target: Node, value: Write) => void) => {
    for (const [i, target] of targets.entries()) {
      const value = init[i];
      const last = init.at(-1);
      if (value !== undefined) {
        write(target, { by, value, ...(i === init.length - 1 && isMulti(value) ? { result: 0 } : {}) });
      } else if (last !== undefined && isMulti(last)) write(target, { by, value: last, result: i - init.length + 1 });
      else write(target, { by });
    }
  };
  const block = (body: Node[], parent: Node, scope: Scope, owner: FunctionNode | undefined) => {
    for (const statement of body) walk(statement, parent, scope, owner);
  };
  const all = (list: Node[], parent: Node, scope: Scope, owner: FunctionNode | undefined) => {
    for (const node of list) walk(node, parent, scope, owner);
  };
  const loopVariable = (node: Identifier, loop: LoopNode, scope: Scope, owner: FunctionNode | undefined) => {
    enter(node, loop, owner);
    declare(scope, node, 'loop', owner).writes.push({ by: loop });
  };

  const walk = (node: Node, parent: Node | undefined, scope: Scope, owner: FunctionNode | undefined): void => {
    enter(node, parent, owner);
    visit(node, scope, owner);
    extents.get(node)!.to = nodes.length;
  };
  const visit = (node: Node, scope: Scope, owner: FunctionNode | undefined): void => {
    switch (node.type) {
      case 'Identifier': {
        const variable = scope.find(node.name);
        if (variable) {
          variables.set(node, variable);
          variable.reads.push(node);
        } else globalReads.push(node);
        return;
      }
      case 'MemberExpression':
        walk(node.base, node, scope, owner);
        enter(node.identifier, node, owner);
        return;
      case 'TableKeyString':
        enter(node.key, node, owner);
        walk(node.value, node, scope, owner);
        return;
      case 'LocalStatement':
        all(node.init, node, scope, owner);
        for (const variable of node.variables) {
          enter(variable, node, owner);
          declare(scope, variable, 'local', owner);
        }
        writesOf(node, node.variables, node.init, (target, write) =>
          variables.get(target as Identifier)!.writes.push(write),
        );
        return;
      case 'AssignmentStatement':
        all(node.init, node, scope, owner);
        writesOf(node, node.variables, node.init, (target, write) => {
          if (target.type !== 'Identifier') return walk(target, node, scope, owner);
          enter(target, node, owner);
          const variable = scope.find(target.name);
          if (!variable) return void globalWrites.push(target);
          variables.set(target, variable);
          variable.writes.push(write);
        });
        return;
      case 'FunctionDeclaration': {
        const { identifier } = node;
        if (identifier?.type === 'Identifier') {
          enter(identifier, node, owner);
          if (node.isLocal) {
            declare(scope, identifier, 'function', owner).writes.push({ by: node, value: node });
          } else {
            const variable = scope.find(identifier.name);
            if (variable) {
              variables.set(identifier, variable);
              variable.writes.push({ by: node, value: node });
            } else globalWrites.push(identifier);
          }
        } else if (identifier) walk(identifier, node, scope, owner);
        const inner = new Scope(scope);
        for (const parameter of node.parameters) {
          enter(parameter, node, node);
          if (parameter.type === 'Identifier') declare(inner, parameter, 'parameter', node);
        }
        block(node.body, node, inner, node);
        return;
      }
      case 'ForNumericStatement': {
        walk(node.start, node, scope, owner);
        walk(node.end, node, scope, owner);
        if (node.step) walk(node.step, node, scope, owner);
        const inner = new Scope(scope);
        loopVariable(node.variable, node, inner, owner);
        block(node.body, node, inner, owner);
        return;
      }
      case 'ForGenericStatement': {
        all(node.iterators, node, scope, owner);
        const inner = new Scope(scope);
        for (const variable of node.variables) loopVariable(variable, node, inner, owner);
        block(node.body, node, inner, owner);
        return;
      }
      case 'RepeatStatement': {
        const inner = new Scope(scope);
        block(node.body, node, inner, owner);
        // The condition sees the locals of the body.
        walk(node.condition, node, inner, owner);
        return;
      }
      case 'WhileStatement':
      case 'IfClause':
      case 'ElseifClause':
        walk(node.condition, node, scope, owner);
        block(node.body, node, new Scope(scope), owner);
        return;
      case 'ElseClause':
      case 'DoStatement':
        block(node.body, node, new Scope(scope), owner);
        return;
      default:
        for (const child of childrenOf(node)) walk(child, node, scope, owner);
    }
  };
  walk(chunk, undefined, new Scope(), undefined);
  for (const variable of variables.values()) variable.reads.sort((a, b) => rangeOf(a)[0] - rangeOf(b)[0]);
  return {
    nodes,
    calls: nodes.filter(isCall),
    loops: nodes.filter(isLoop),
    functions: nodes.filter((node) => node.type === 'FunctionDeclaration'),
    parentOf: (node) => parents.get(node),
    inside: (node) => {
      const { from, to } = extents.get(node)!;
      return nodes.slice(from, to);
    },
    isInside: (node, outer) => {
      const { from, to } = extents.get(outer)!;
      const at = extents.get(node)!.from;
      return at >= from && at < to;
    },
    variableOf: (node) => variables.get(node),
    globalWrites,
    globalReads,
    functionOf: (node) => owners.get(node),
  };
}

/** Whether the expression can yield several values where it stands last. */
export const isMulti = (node: Node) => isCall(node) || node.type === 'VarargLiteral';

/** The calls of a local function, if it is only ever called: undefined where it escapes as a value. */
export function callSitesOf(scopes: Scopes, fn: FunctionNode): CallNode[] | undefined {
  const variable = variableOfFunction(scopes, fn);
  if (variable === undefined || variable.writes.length !== 1) return undefined;
  const sites: CallNode[] = [];
  for (const read of variable.reads) {
    const parent = scopes.parentOf(read);
    if (parent === undefined || !isCall(parent) || parent.base !== read) return undefined;
    if (argumentsOf(parent).includes(read)) return undefined;
    sites.push(parent);
  }
  return sites;
}

/** The variable that holds a function: `local function f`, `local f = function`. */
function variableOfFunction(scopes: Scopes, fn: FunctionNode): Variable | undefined {
  if (fn.identifier?.type === 'Identifier') return scopes.variableOf(fn.identifier);
  const parent = scopes.parentOf(fn);
  if (parent?.type !== 'LocalStatement' && parent?.type !== 'AssignmentStatement') return undefined;
  const target = parent.variables[parent.init.indexOf(fn)];
  return target?.type === 'Identifier' ? scopes.variableOf(target) : undefined;
}
