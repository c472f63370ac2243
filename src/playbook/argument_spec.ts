import { join } from 'node:path';
import { holdsSource, isDict, type Dict, type Value } from '../value/value.js';
import { keyOrigin } from '../yaml/index.js';
import { complain, display, firstFile, readYaml, type LoadContext } from './context.js';
import { given, shown } from './keywords.js';
import type { Role } from './types.js';

/** The task that checks a role's arguments before its own tasks run, as written; undefined where the role does not describe them. */
export async function validationTask(role: Role, entryPoint: string, meta: Dict, ctx: LoadContext): Promise<{ task: Dict; specs: Dict } | undefined> {
  const file = await firstFile(['argument_specs.yml', 'argument_specs.yaml'].map((name) => join(role.path, 'meta', name)));
  const read = file === undefined ? meta : await readYaml(file, ctx);
  const specs = isDict(read) ? given(read, 'argument_specs') : undefined;
  if (specs === undefined) return undefined;
  const at = (isDict(read) ? keyOrigin(read, 'argument_specs') : undefined) ?? { file: display(file ?? role.path), line: 1, column: 1 };
  if (!isDict(specs)) return void complain(ctx, `"argument_specs" must be a dict of entry points, not ${shown(specs)}`, at);
  const spec = given(specs, entryPoint);
  if (spec === undefined) return undefined;
  if (!isDict(spec)) return void complain(ctx, `the argument spec of "${entryPoint}" must be a dict, not ${shown(spec)}`, keyOrigin(specs, entryPoint) ?? at);
  const options = given(spec, 'options') ?? new Map();
  if (!isDict(options)) return void complain(ctx, `"options" of an argument spec must be a dict, not ${shown(options)}`, keyOrigin(spec, 'options') ?? at);
  const short = given(spec, 'short_description');
  const name = `Validating arguments against arg spec '${entryPoint}'${typeof short === 'string' ? ` - ${short}` : ''}`;
  const context = new Map<Value, Value>([['type', 'role'], ['name', role.name], ['argument_spec_name', entryPoint], ['path', role.path]]);
  const args = new Map<Value, Value>([['argument_spec', withoutProse(options)], ['provided_arguments', role.params], ['validate_args_context', context]]);
  return { task: new Map<Value, Value>([['name', name], ['ansible.builtin.validate_argument_spec', args], ['tags', ['always']]]), specs };
}

/** Descriptions are for people: braces in them are no expressions. */
function withoutProse(options: Dict): Dict {
  return new Map([...options].map(([name, spec]): [Value, Value] => {
    if (!isDict(spec)) return [name, spec];
    const kept = [...spec].filter(([key, value]) => !(key === 'description' && holdsSource(value)));
    return [name, new Map(kept.map(([key, value]): [Value, Value] => [key, key === 'options' && isDict(value) ? withoutProse(value) : value]))];
  }));
}
