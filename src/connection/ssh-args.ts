import { ContentError } from '../value/errors.js';

/** Flags of ssh(1) that take a value, and what each is in ssh_config(5); undefined where it says nothing about how a host is reached. */
const VALUED: { [flag: string]: string | undefined } = {
  J: 'ProxyJump', p: 'Port', l: 'User', i: 'IdentityFile',
  B: undefined, b: undefined, c: undefined, D: undefined, E: undefined, e: undefined, F: undefined, I: undefined, L: undefined, m: undefined,
  O: undefined, o: undefined, P: undefined, Q: undefined, R: undefined, S: undefined, W: undefined, w: undefined,
};

/**
 * Arguments that playbooks and ansible.cfg hand to ssh (`ansible_ssh_common_args`, `ssh_args`), as lines of ssh_config: they
 * count as if they stood at its top. What multiplexes or shapes the connection (`ControlPersist`, `-C`) has no meaning
 * here, and is passed over as other lines of ssh_config are.
 * @throws ContentError for what is no argument of ssh
 */
export function sshArguments(text: string): { options: string; configFile: string | undefined } {
  const lines: string[] = [];
  let configFile: string | undefined;
  const rest = words(text);
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!/^-\w/.test(word)) throw new ContentError(`"${word}" is no option of ssh (in "${text}")`, undefined, 'write -o NAME=VALUE, -J HOST or -F FILE');
    let flags = word.slice(1);
    for (; flags !== '' && !(flags[0]! in VALUED); flags = flags.slice(1)) if (!/[a-zA-Z1246]/.test(flags[0]!)) throw new ContentError(`ssh has no option "-${flags[0]!}"`, undefined, `it stands in "${text}"`);
    if (flags === '') continue;
    const flag = flags[0]!;
    const value = flags.slice(1) || rest.shift();
    if (value === undefined) throw new ContentError(`"-${flag}" of ssh needs a value`, undefined, `it stands in "${text}"`);
    if (flag === 'F') configFile = value;
    else if (flag === 'o') {
      const [, name, said] = /^\s*(\w+)\s*(?:=|\s)\s*(.*)$/s.exec(value) ?? [];
      if (name === undefined) throw new ContentError(`"-o ${value}" of ssh is no option`, undefined, 'write -o NAME=VALUE');
      lines.push(`${name} ${said}`);
    } else if (VALUED[flag] !== undefined) lines.push(`${VALUED[flag]} ${value}`);
  }
  return { options: lines.join('\n'), configFile };
}

/** Words as Ansible splits them: by Python's shlex, in POSIX mode. */
function words(text: string): string[] {
  const found: string[] = [];
  for (const [whole] of text.matchAll(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+/gs))
    found.push(whole.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/gs, (_, double?: string, single?: string, bare?: string) => bare ?? single ?? double!.replace(/\\(["\\$`])/g, '$1')));
  return found;
}
