import { join } from 'node:path';
import { holdsSource, isDict, type Dict, type Origin, type Value } from '../value/value.js';
import { keyOrigin } from '../yaml/index.js';
import { complain, display, firstFile, isFile, readYaml, type LoadContext } from './context.js';
import { given, place, shown } from './keywords.js';
import type { Role } from './types.js';

/** A task that checks arguments, as written, and the specs it comes from. */
interface Validation {
  task: Dict;
  specs: Dict;
}

/** The task that checks a role's arguments before its own tasks run; undefined where the role does not describe them. */
export async function validationTask(role: Role, entryPoint: string, meta: Dict, ctx: LoadContext): Promise<Validation | undefined> {
  const file = await firstFile(['argument_specs.yml', 'argument_specs.yaml'].map((name) => join(role.path, 'meta', name)));
  const read = file === undefined ? meta : await readYaml(file, ctx);
  return validation(read, file ?? role.path, entryPoint, role.params, new Map<Value, Value>([['type', 'role'], ['name', role.name], ['argument_spec_name', entryPoint], ['path', role.path]]), ctx);
}

/**
 * The task that `validate_argspec` of a play stands for: the spec is named by it, or as the play is, and stands in
 * PLAYBOOK.meta.yml beside the playbook.
 * @param path of the playbook
 */
export async function playValidation(dict: Dict, at: Origin, path: string, ctx: LoadContext): Promise<Validation | undefined> {
  const said = given(dict, 'validate_argspec');
  if (said === undefined || said === false) return undefined;
  const origin = place(dict, 'validate_argspec', at);
  const name = said === true ? given(dict, 'name') : said;
  if (typeof name !== 'string') return void complain(ctx, '"validate_argspec" must name an argument spec', origin, said === true ? 'give the play the name of one' : 'write it out, or yes for the one that is named as the play');
  const file = path.replace(/\.ya?ml$/, '.meta.yml');
  if (!(await isFile(file))) return void complain(ctx, `there is no file of argument specs for this playbook`, origin, `looked for ${display(file)}`);
  const made = await validation(await readYaml(file, ctx), file, name, new Map(), new Map<Value, Value>([['type', 'play'], ['name', given(dict, 'name') ?? null], ['argument_spec_name', name], ['path', path]]), ctx);
  if (!made) complain(ctx, `there is no argument spec "${name}"`, origin, `looked at argument_specs of ${display(file)}`);
  return made;
}

function validation(read: Value, file: string, entryPoint: string, provided: Dict, context: Dict, ctx: LoadContext): Validation | undefined {
  const specs = isDict(read) ? given(read, 'argument_specs') : undefined;
  if (specs === undefined) return undefined;
  const at = (isDict(read) ? keyOrigin(read, 'argument_specs') : undefined) ?? { file: display(file), line: 1, column: 1 };
  if (!isDict(specs)) return void complain(ctx, `"argument_specs" must be a dict of entry points, not ${shown(specs)}`, at);
  const spec = given(specs, entryPoint);
  if (spec === undefined) return undefined;
  if (!isDict(spec)) return void complain(ctx, `the argument spec of "${entryPoint}" must be a dict, not ${shown(spec)}`, keyOrigin(specs, entryPoint) ?? at);
  const options = given(spec, 'options') ?? new Map();
  if (!isDict(options)) return void complain(ctx, `"options" of an argument spec must be a dict, not ${shown(options)}`, keyOrigin(spec, 'options') ?? at);
  const short = given(spec, 'short_description');
  const name = `Validating arguments against arg spec '${entryPoint}'${typeof short === 'string' ? ` - ${short}` : ''}`;
  const args = new Map<Value, Value>([['argument_spec', withoutProse(options)], ['provided_arguments', provided], ['validate_args_context', context]]);
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
