import { sh } from '../shell/sh.js';
import { defineModule, ModuleError } from './module.js';
import { params, str } from './params.js';

export default defineModule({
  name: 'ping',
  summary: 'Proves that a host can be reached and runs a shell; sends back a word.',
  params: params({ data: str('The word to send back; "crash" fails, to try out what happens then.').default('pong') }),
  returns: { ping: 'The word.' },
  examples: ['- ping:'],
  readOnly: true,
  inspect: (wanted) => sh`printf %s ${wanted.data}`,
  parse(output, wanted) {
    if (wanted.data === 'crash') throw new ModuleError('boom', { module_stdout: '', module_stderr: 'Exception: boom\n', rc: 1 });
    if (output.rc !== 0 || output.stdout !== wanted.data) throw new ModuleError('the host sent back something else', { rc: output.rc, stdout: output.stdout, stderr: output.stderr });
    return output.stdout;
  },
  compare: () => [],
  apply: () => ({ script: sh`` }),
  result: (_wanted, observed) => ({ ping: observed }),
});
