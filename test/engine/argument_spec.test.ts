import test from 'ava';
import { validate } from '../../src/engine/argument_spec.js';
import { toPlain, toValue, type Dict } from '../../src/value/value.js';
import { parseYaml } from '../../src/yaml/index.js';
import { play } from './support.js';

const OPTIONS = parseYaml(
  `
name: {required: true}
port: {type: int, default: 80}
ratio: {type: float}
level: {choices: [debug, info, "no"], aliases: [verbosity]}
tags: {type: list, elements: int, choices: [1, 2]}
"on": {type: bool}
any: {type: raw}
users:
  type: list
  elements: dict
  mutually_exclusive: [[uid, auto]]
  required_together: [[home, shell]]
  required_one_of: [[uid, auto, system]]
  required_if: [[kind, ldap, [server, base]], [kind, file, [path, url], true]]
  required_by: {server: tls}
  options:
    uid: {type: int}
    auto: {type: bool}
    system: {type: bool}
    home: {type: path}
    shell: {}
    kind: {default: local}
    server: {}
    base: {}
    path: {}
    url: {}
    tls: {type: dict, apply_defaults: true, options: {verify: {type: bool, default: true}}}
`,
  'spec.yml',
) as Dict;

const given = (args: { [name: string]: unknown }): { errors: string[]; args: any } => {
  const dict = toValue({ name: 'x', ...args }) as Dict;
  const errors = validate(OPTIONS, dict);
  return { errors, args: toPlain(dict, false) };
};

test('fit arguments are converted, and defaults filled in', (t) => {
  const { errors, args } = given({ port: '8080', ratio: '1.5', verbosity: 'info', tags: '1,2', on: 'yes', users: [{ uid: '5', tls: null }, { auto: true, home: '/h', shell: '/bin/sh', tls: 'verify=no' }] });
  t.deepEqual(errors, []);
  t.like(args, { port: 8080, ratio: 1.5, level: 'info', tags: [1, 2], on: true });
  t.like(args.users[0], { uid: 5, kind: 'local', tls: { verify: true } });
  t.like(args.users[1], { tls: { verify: false } });
});

const wrong: [{ [name: string]: unknown }, ...string[]][] = [
  [{ name: undefined, prot: 1 }, 'missing required arguments: name', 'prot. Supported parameters include: any, level, name, on, port, ratio, tags, users (verbosity).'],
  [{ port: 'x' }, `argument 'port' is of type <class 'str'> and we were unable to convert to int: "'x'" cannot be converted to an int`],
  [{ port: [] }, `argument 'port' is of type <class 'list'> and we were unable to convert to int: "[]" cannot be converted to an int`],
  [{ ratio: {}, on: 'maybe' }, "argument 'ratio' is of type <class 'dict'> and we were unable to convert to float: <class 'dict'> cannot be converted to a float", "argument 'on' is of type <class 'str'> and we were unable to convert to bool: The value 'maybe' is not a valid boolean."],
  [{ level: 'warn' }, 'value of level must be one of: debug, info, no, got: warn'],
  [{ tags: [1, 3, 4] }, 'value of tags must be one or more of: 1, 2. Got no match for: 3, 4'],
  [{ tags: ['a'] }, `Elements value for option 'tags' is of type <class 'str'> and we were unable to convert to int: "'a'" cannot be converted to an int`],
  [{ users: ['a'] }, "Elements value for option 'users' is of type <class 'str'> and we were unable to convert to dict: dictionary requested, could not parse JSON or key=value"],
  [{ users: [{ uid: 1, auto: true }] }, 'parameters are mutually exclusive: uid|auto found in users'],
  [{ users: [{ uid: 1, home: '/' }] }, 'parameters are required together: home, shell found in users'],
  [{ users: [{}] }, 'one of the following is required: uid, auto, system found in users'],
  [{ users: [{ uid: 1, kind: 'ldap', base: 'b' }] }, 'kind is ldap but all of the following are missing: server found in users'],
  [{ users: [{ uid: 1, kind: 'file' }] }, 'kind is file but any of the following are missing: path, url found in users'],
  [{ users: [{ uid: 1, server: 's' }] }, "missing parameter(s) required by 'server': tls found in users"],
  [{ users: [{ uid: 1, tls: { verify: 'x', old: 1 } }] }, "argument 'verify' is of type <class 'str'> found in 'users -> tls'. and we were unable to convert to bool: The value 'x' is not a valid boolean.", 'users.tls.old. Supported parameters include: verify.'],
];
for (const [args, ...expected] of wrong) {
  test(`not fit: ${JSON.stringify(args)}`, (t) => {
    const dict = toValue(Object.fromEntries(Object.entries({ name: 'x', ...args }).filter(([, value]) => value !== undefined))) as Dict;
    t.deepEqual(validate(OPTIONS, dict), expected);
  });
}

test('a role that describes its arguments begins with checking them', async (t) => {
  const role = (name: string, spec: string) => ({ [`roles/${name}/meta/argument_specs.yml`]: spec, [`roles/${name}/tasks/main.yml`]: `- {name: ran, debug: {msg: ran ${name}}}\n`, [`roles/${name}/tasks/other.yml`]: '- {name: other, debug: {msg: other}}\n' });
  const spec = `argument_specs:
  main:
    short_description: the main one
    description: "braces {{ here }} are prose"
    options:
      port: {type: int, required: true, description: "such as {{ port }}"}
      mode: {choices: [a, b], default: "{{ 'a' }}"}
  other: {options: {}}
`;
  const { rig, told, data } = await play(t, `- hosts: a
  gather_facts: false
  vars: {port: "{{ 80 + 1 }}"}
  roles: [{role: r, mode: b}]
  tasks:
    - block:
        - {include_role: {name: r}, vars: {mode: c}}
      rescue:
        - {name: why, debug: {msg: "{{ ansible_failed_result.argument_errors }} {{ ansible_failed_task.name }}"}}
    - {include_role: {name: r, tasks_from: other.yml}, vars: {port: x}}
    - {include_role: {name: r, rolespec_validate: false}, vars: {port: x}}
    - {name: own, validate_argument_spec: {argument_spec: {port: {type: str, choices: ["81"]}, n: {type: int}}, provided_arguments: {n: "7"}}}
`, { files: role('r', spec) });
  t.deepEqual(rig.failures().slice(0, 1), ["a: Validation of arguments failed:\nvalue of mode must be one of: a, b, got: c"]);
  t.is(data('why').msg, "['value of mode must be one of: a, b, got: c'] Validating arguments against arg spec 'main' - the main one");
  t.deepEqual(told.map((line) => line.replace(/^r : Validating.*main'.*? a /, 'validated ')).filter((line) => !line.startsWith('include_role')), [
    'validated ok', 'r : ran a ok', 'validated rescued', 'why a ok', "r : Validating arguments against arg spec 'other' a ok", 'r : other a ok', 'r : ran a ok', 'own a ok',
  ]);
});
