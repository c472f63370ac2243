import { Record } from '../../expression/index.js';
import { ContentError } from '../../value/errors.js';
import { toPlain, toValue, type Dict, type Value } from '../../value/value.js';
import { validate } from '../argument_spec.js';
import { argumentsOf, scopeFor, type Call } from '../call.js';
import { failed, outcome, type Outcome } from '../outcome.js';

/** Checks variables (and what is given besides) against a specification; roles that have one begin with this. */
export async function validateArgumentSpec(call: Call): Promise<Outcome> {
  const args = argumentsOf(call);
  const dict = (name: string): Dict => {
    const value = args.get(name) ?? new Map();
    if (value instanceof Map) return value;
    throw new ContentError(`"${name}" of validate_argument_spec must be a dict`, call.task.argOrigins.get(name) ?? call.task.origin);
  };
  const spec = dict('argument_spec');
  const scope = scopeFor(call);
  const given: Dict = new Map();
  for (const name of spec.keys()) {
    const value = scope.get(String(name), new Record());
    if (value !== undefined) given.set(name, value);
  }
  for (const [name, value] of dict('provided_arguments')) given.set(name, value);
  // A copy: what it is converted to stays here, and secrets are compared as they are.
  const errors = validate(spec, toValue(toPlain(given, true)) as Dict);
  const about: { [name: string]: Value } = { validate_args_context: dict('validate_args_context') };
  if (errors.length === 0) return outcome({ ...about, msg: 'The arg spec validation passed', changed: false });
  return failed(`Validation of arguments failed:\n${errors.join('\n')}`, { fields: { ...about, argument_errors: errors, argument_spec_data: spec } });
}
