import type { Entry, Play, Tag, Task } from '../src/playbook/types.js';
import { Source, type Value, toPlain } from '../src/value/value.js';
import { EXIT } from './exit.js';
import type { Flags } from './options.js';
import type { Prepared } from './run.js';

/** `--list-hosts`, `--list-tasks`, `--list-tags`: what a run would be about, without one. */
export async function list(prepared: Prepared, flags: Flags): Promise<number> {
  const { checkProject, loadPlaybook, raise, selected } = await import('../src/playbook/index.js');
  const { loadInventory, matchHosts } = await import('../src/inventory/index.js');
  const context = { projectDir: prepared.projectDir, rolesPath: prepared.rolesPath, extraVars: prepared.extraVars, problems: [] };
  raise((await checkProject(prepared.playbooks, context)).filter(({ severity }) => severity === 'error'));
  const inventory = await loadInventory(prepared.inventory);
  const lines: string[] = [];
  for (const path of prepared.playbooks) {
    lines.push(`playbook: ${path}`);
    for (const [i, play] of (await loadPlaybook(path, context)).plays.entries()) {
      lines.push('', `  play #${i + 1} (${text(play.hosts)}): ${text(play.name ?? play.hosts)}${tagList(play.tags)}`);
      const tasks = [...tasksOf(play)].filter((task) => selected(task.tags.map(textOfTag), prepared.tags, prepared.skipTags));
      if (flags.listHosts) {
        const hosts = play.hosts instanceof Source ? [] : matchHosts(texts(play.hosts), inventory, { limit: prepared.limit }).hosts;
        lines.push(`    hosts (${hosts.length}):`, ...hosts.map((host) => `      ${host}`));
      }
      if (flags.listTasks) lines.push('    tasks:', ...tasks.map((task) => `      ${task.role ? `${task.role.name} : ` : ''}${text(task.name ?? task.action)}${tagList(task.tags)}`));
      if (flags.listTags) lines.push(`    tags: [${[...new Set(tasks.flatMap((task) => task.tags.map(textOfTag)))].sort().join(', ')}]`);
    }
  }
  const { harmless } = await import('../src/report/style.js');
  process.stdout.write(`${harmless(lines.join('\n'))}\n`);
  return EXIT.done;
}

function* tasksOf(play: Play): Generator<Task> {
  for (const { entries } of play.sections) yield* flat(entries);
}

function* flat(entries: readonly Entry[]): Generator<Task> {
  for (const entry of entries) {
    if (entry.kind === 'task') yield entry;
    else for (const part of [entry.block, entry.rescue, entry.always]) yield* flat(part);
  }
}

function text(value: Value): string {
  return texts(value).join(':');
}

function texts(value: Value): string[] {
  return (Array.isArray(value) ? value : [value]).map((member) => String(toPlain(member, false)));
}

/** What only a run can tell is shown as it is written. */
function textOfTag(tag: Tag): string {
  return typeof tag === 'string' ? tag : tag.text;
}

function tagList(tags: readonly Tag[]): string {
  return tags.length > 0 ? `  TAGS: [${tags.map(textOfTag).join(', ')}]` : '';
}
