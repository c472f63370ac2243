import type { CommandModule } from 'yargs';
import type { Param } from '../src/modules/index.js';
import { fullName, moduleNames } from '../src/modules/index.js';

/** `muster doc [MODULE]`: the list of modules and actions, or one's parameters, results and examples. */
const doc: CommandModule<object, { module?: string; output: 'text' | 'json' }> = {
  builder: (argv) =>
    argv
      .positional('module', { type: 'string', describe: 'name, with or without its collection' })
      .option('output', { choices: ['text', 'json'], default: 'text', describe: 'for people or programs' }) as never,
  handler: async ({ module, output }) => {
    const lines = module === undefined ? await overview(output) : await page(module, output);
    process.stdout.write(`${lines.join('\n')}\n`);
  },
};
export default doc;

async function overview(output: 'text' | 'json'): Promise<string[]> {
  const { actionNames, loadSpec } = await import('../src/playbook/index.js');
  const names = [...new Set([...moduleNames, ...actionNames])].sort();
  const specs = await Promise.all(names.map(async (name) => ({ name, summary: (await loadSpec(name)).summary })));
  if (output === 'json') return [JSON.stringify(specs)];
  const width = Math.max(...names.map((name) => name.length));
  return [...specs.map(({ name, summary }) => `${name.padEnd(width)}  ${summary}`), '', 'muster doc NAME shows parameters, results and examples.'];
}

async function page(name: string, output: 'text' | 'json'): Promise<string[]> {
  const { loadSpec } = await import('../src/playbook/index.js');
  const { describeParams } = await import('../src/modules/index.js');
  const { painter, wantsColour, wrap } = await import('../src/report/style.js');
  const spec = await loadSpec(name);
  // A name that begins with _ is between Ansible's own parts.
  const params = describeParams(spec).filter((param) => !param.name.startsWith('_'));
  if (output === 'json') {
    const shown = params.map(({ schema: _, ...param }) => param);
    return [JSON.stringify({ name: spec.name, summary: spec.summary, params: shown, returns: spec.returns, examples: spec.examples }, undefined, 2)];
  }
  const paint = painter(wantsColour(process.stdout, process.env));
  const columns = Math.min(100, process.stdout.columns ?? 80);
  const full = moduleNames.includes(spec.name) ? fullName(spec.name) : `ansible.builtin.${spec.name}`;
  const lines = [`${paint('bold', spec.name)} (${full})`, ...wrap(spec.summary, columns)];
  if (spec.aliases?.length) lines.push(`Also written: ${spec.aliases.join(', ')}`);
  if (params.length > 0) lines.push('', paint('bold', 'Parameters'));
  for (const param of params) {
    lines.push(`  ${paint('bold', param.name)}  ${traits(param)}`);
    if (param.description) lines.push(...wrap(param.description, columns - 6).map((line) => `      ${line}`));
  }
  const returns = Object.entries(spec.returns);
  if (returns.length > 0) lines.push('', paint('bold', 'Results'));
  const width = Math.max(0, ...returns.map(([field]) => field.length));
  for (const [field, about] of returns) lines.push(`  ${field.padEnd(width)}  ${about}`);
  if (spec.examples.length > 0) lines.push('', paint('bold', 'Examples'), ...spec.examples.flatMap((example) => [...example.trimEnd().split('\n').map((line) => `  ${line}`), '']));
  return lines;
}

function traits(param: Param): string {
  const parts = [param.choices ? param.choices.join(' | ') : param.type];
  if (param.required) parts.push('required');
  else if (param.default !== undefined) parts.push(`default ${typeof param.default === 'string' ? param.default || '""' : JSON.stringify(param.default)}`);
  if (param.aliases.length > 0) parts.push(`also ${param.aliases.join(', ')}`);
  if (param.secret) parts.push('never shown');
  return parts.join(', ');
}
