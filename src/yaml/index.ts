/**
 * YAML as PyYAML reads it (yaml/resolver.py, yaml/constructor.py), which is what Ansible's users expect:
 * `0644` is octal, `yes` and `off` are booleans but `y` and `n` are not, 8.0 stays a float, dicts keep their order,
 * duplicate keys are refused or, as Ansible has it, a warning. Dates stay text. Every value's place in its file is kept beside it.
 */
import { ContentError } from '../value/errors.js';
import type { Value } from '../value/value.js';
import { parseDocuments } from './parse.js';

export { duplicateKeys } from './parse.js';

export { containerOrigin, keyOrigin, originOf, placeIn, placeInText } from './places.js';
export { dumpYaml, type DumpOptions } from './dump.js';

/**
 * One YAML document of the project: text with `{{`, `{%` or `{#` becomes `Source`. An empty text is null.
 * @param file as shown in messages
 * @param isSecret it was encrypted: its strings and numbers become `Secret`
 * @throws ContentError with line, column and hint
 */
export function parseYaml(text: string, file: string, isSecret = false): Value {
  return single(parseDocuments(text, file, { sources: true, isSecret }));
}

/** One YAML document born at run time (`from_yaml`, a host's file): never evaluated, so no `Source` is made. */
export function parseData(text: string, file = '<data>'): Value {
  return single(parseDocuments(text, file, { sources: false }));
}

/** Every document of a text born at run time (`from_yaml_all`). */
export function parseAllData(text: string, file = '<data>'): Value[] {
  return parseDocuments(text, file, { sources: false }).map((document) => document.value);
}

function single(documents: ReturnType<typeof parseDocuments>): Value {
  const [first, second] = documents;
  if (second) throw new ContentError('several YAML documents in one file', second.text.origin(second.at), 'a file holds one document; remove the second "---"');
  return first ? first.value : null;
}
