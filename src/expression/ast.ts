/** What the parser makes of an expression or template; `at` is the offset in the text. */
export type Node =
  | { kind: 'constant'; at: number; value: string | number | bigint | boolean | null | { float: number } }
  | { kind: 'name'; at: number; name: string }
  | { kind: 'list'; at: number; members: Node[]; tuple?: true }
  | { kind: 'dict'; at: number; entries: [Node, Node][] }
  | { kind: 'attribute'; at: number; of: Node; name: string }
  | { kind: 'member'; at: number; of: Node; key: Node }
  | { kind: 'slice'; at: number; of: Node; from: Node | undefined; to: Node | undefined; step: Node | undefined }
  | { kind: 'call'; at: number; of: Node; args: Arguments }
  | { kind: 'filter'; at: number; of: Node; name: string; args: Arguments }
  | { kind: 'test'; at: number; of: Node; name: string; args: Arguments; negated: boolean }
  | { kind: 'unary'; at: number; operator: '-' | '+' | 'not'; of: Node }
  | { kind: 'binary'; at: number; operator: '+' | '-' | '*' | '/' | '//' | '%' | '**'; left: Node; right: Node }
  | { kind: 'concat'; at: number; parts: Node[] }
  | { kind: 'compare'; at: number; first: Node; rest: { operator: Comparison; node: Node; at: number }[] }
  | { kind: 'logic'; at: number; operator: 'and' | 'or'; left: Node; right: Node }
  | { kind: 'choice'; at: number; condition: Node; yes: Node; no: Node | undefined };

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

export interface Arguments {
  positional: Node[];
  named: [string, Node][];
  /** `*list` and `**dict`. */
  spread: Node | undefined;
  spreadNamed: Node | undefined;
}

/** What can stand left of `=` or behind `for`: a name, `namespace.attribute`, or several. */
export type Target = { kind: 'name'; name: string; at: number } | { kind: 'attribute'; name: string; attribute: string; at: number } | { kind: 'several'; targets: Target[]; at: number };

export type Statement =
  | { kind: 'text'; text: string }
  | { kind: 'output'; node: Node; at: number }
  | { kind: 'if'; branches: { condition: Node; body: Statement[] }[]; otherwise: Statement[] }
  | { kind: 'for'; at: number; target: Target; over: Node; condition: Node | undefined; recursive: boolean; body: Statement[]; otherwise: Statement[] }
  | { kind: 'set'; at: number; target: Target; value: Node }
  | { kind: 'setBlock'; at: number; target: Target; filters: FilterUse[]; body: Statement[] }
  | { kind: 'filterBlock'; at: number; filters: FilterUse[]; body: Statement[] }
  | { kind: 'with'; at: number; bindings: [Target, Node][]; body: Statement[] }
  | { kind: 'macro'; at: number; macro: Macro }
  | { kind: 'callBlock'; at: number; caller: Macro; call: Node }
  | { kind: 'do'; at: number; node: Node }
  | { kind: 'include'; at: number; names: Node; ignoreMissing: boolean; withContext: boolean }
  | { kind: 'import'; at: number; name: Node; as: string; withContext: boolean }
  | { kind: 'from'; at: number; name: Node; names: { name: string; as: string }[]; withContext: boolean }
  | { kind: 'extends'; at: number; name: Node }
  | { kind: 'block'; at: number; name: string; scoped: boolean; required: boolean; body: Statement[] }
  | { kind: 'break' | 'continue'; at: number };

export interface FilterUse {
  name: string;
  args: Arguments;
  at: number;
}

export interface Macro {
  name: string;
  params: { name: string; fallback: Node | undefined }[];
  body: Statement[];
}
