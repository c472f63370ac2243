import { evaluateDeep, Record } from '../expression/index.js';
import { ContentError } from '../value/errors.js';
import { isDict, toPlain, type Dict, type Origin } from '../value/value.js';
import { containerOrigin, originOf } from '../yaml/index.js';
import { construct } from './constructed.js';
import { addChild, ensureGroup, ensureHost, join, setVar } from './graph.js';
import type { Loading } from './load.js';
import { onlyKeys, scopeOf } from './plugin-file.js';

/**
 * Reads a YAML file that names an inventory plugin (`plugin: constructed`), as Ansible's auto plugin does: `constructed`
 * and `generator` are here, all others are Python.
 * @throws ContentError
 */
export function readPlugin(settings: Dict, file: string, loading: Loading): void {
  const at: Origin = originOf(settings, 'plugin') ?? { file, line: 1, column: 1 };
  const written = String(settings.get('plugin'));
  const name = written.replace(/^ansible\.(?:builtin|legacy)\./, '');
  if (name === 'constructed') return construct(settings, at, loading);
  if (name === 'generator') return generate(settings, at, loading);
  throw new ContentError(
    `the inventory plugin "${written}" is Python, and Muster runs none`,
    at,
    `have a script print what it finds: two lines, "#!/bin/sh" and "exec ansible-inventory -i ${file} \\"$@\\"", executable, named by -i in the place of this file`,
  );
}

/** `generator`: a host for every combination of the layers, named by a template, with groups named likewise. */
function generate(settings: Dict, at: Origin, loading: Loading): void {
  onlyKeys(settings, 'generator', ['plugin', 'hosts', 'layers']);
  const hosts = settings.get('hosts') ?? null;
  const layers = settings.get('layers') ?? null;
  if (!isDict(hosts) || !isDict(layers)) throw new ContentError('generator needs "hosts" and "layers"', at, 'hosts: {name: "{{ a }}-{{ b }}"} and layers: {a: […], b: […]}');
  let rounds: Dict[] = [new Map()];
  for (const [name, values] of layers) {
    if (!Array.isArray(values)) throw new ContentError(`the layer "${String(name)}" is no list`, originOf(layers, name) ?? at);
    rounds = rounds.flatMap((round) => values.map((value) => new Map(round).set(name, value)));
    if (rounds.length > 100_000) throw new ContentError('the layers make more than 100000 hosts', at, 'write smaller layers');
  }
  for (const round of rounds) {
    const scope = scopeOf(round, at.file);
    const named = (dict: Dict): string => String(toPlain(evaluateDeep(dict.get('name') ?? null, scope, new Record()), true));
    const below = (dict: Dict, put: (group: ReturnType<typeof ensureGroup>) => void): void => {
      const parents = dict.get('parents') ?? [];
      if (!Array.isArray(parents)) throw new ContentError('"parents" is a list of groups', originOf(dict, 'parents') ?? at);
      for (const parent of parents) {
        if (!isDict(parent) || !parent.has('name')) throw new ContentError('a parent needs a name', containerOrigin(parents) ?? at);
        const group = ensureGroup(loading.inventory, named(parent));
        loading.declare(group.name);
        const vars = parent.get('vars');
        if (isDict(vars)) for (const [key, value] of vars) setVar(group, String(key), evaluateDeep(value, scope, new Record()), originOf(vars, key) ?? at);
        put(group);
        below(parent, (outer) => {
          addChild(loading.inventory, outer, group);
          loading.edge(outer.name, group.name, at);
        });
      }
    };
    const host = ensureHost(loading.inventory, named(hosts), at.file);
    below(hosts, (group) => join(loading.inventory, host, group));
  }
}
