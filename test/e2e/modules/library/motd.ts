import { defineModule, params, sh, str, type Output } from 'muster';

export default defineModule({
  name: 'motd',
  summary: 'Sets the message of the day.',
  params: params({ text: str('The message.') }),
  returns: {},
  examples: [],
  inspect: () => sh`cat /etc/motd 2>/dev/null || :`,
  parse: (output: Output): string => output.stdout.trimEnd(),
  compare: (wanted, found) => (found === wanted.text ? [] : [{ field: 'text', from: found, to: wanted.text }]),
  apply: (wanted) => ({ script: sh`printf '%s\n' ${wanted.text} >/etc/motd` }),
  result: () => ({}),
});
