import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { met, short, type Case, type Figures, type Goal } from './case.js';

const PAGE = 'docs/performance.md';

const HEAD = `# Performance

What Muster costs, next to what SSH itself costs and to other tools. Everything is written by \`npm run bench\`
(all of it) or \`npm run bench -- NAME…\` (some), which needs root on Linux: it boots lab hosts and installs what it
compares with. Contestants take turns within one run, so a ratio means more than the seconds beside it.
`;

/** The case's table for a terminal. */
export function show(figures: Figures): string {
  const lines = align(figures.rows);
  lines.push(...figures.goals.map((goal) => `${met(goal) ? 'ok  ' : 'MISS'} ${describe(goal)}`), ...(figures.notes ?? []).map((note) => `note: ${note}`));
  return `${lines.join('\n')}\n`;
}

/** Puts the case's figures in their place on the page; those of other cases stay as they are. */
export function keep(order: readonly Case[], done: Case, figures: Figures): void {
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
  const sections = new Map(page.split(/^(?=## )/m).slice(1).map((section) => [/^## (.*)/.exec(section)![1], section.trimEnd()]));
  sections.set(done.title, section(done, figures));
  const kept = order.flatMap(({ title }) => sections.get(title) ?? []);
  writeFileSync(PAGE, `${[HEAD.trimEnd(), ...kept].join('\n\n')}\n`);
}

function section({ name, title, about }: Case, { rows, goals, notes = [], picture }: Figures): string {
  if (picture) writeFileSync(`docs/${name}.svg`, picture.svg);
  const [head, ...body] = rows.map((row) => `| ${row.join(' | ')} |`);
  const machine = `${availableParallelism()} cores, which also run the hosts, load ${short(loadavg()[0]!)}; Node ${process.versions.node}; ${new Date().toISOString().slice(0, 10)}`;
  return [
    `## ${title}`,
    '',
    about,
    '',
    head,
    `|${rows[0]!.map((_, i) => (i === 0 ? '---|' : '---:|')).join('')}`,
    ...body,
    '',
    ...(picture ? [`![${picture.shows}](${name}.svg)`, ''] : []),
    ...goals.map((goal) => `- ${describe(goal)}: ${met(goal) ? 'met' : '**missed**'}`),
    ...notes.map((note) => `- ${note}`),
    '',
    `\`npm run bench -- ${name}\` (${machine})`,
  ].join('\n');
}

function describe({ what, got, atMost, atLeast, unit = '' }: Goal): string {
  const wanted = atMost === undefined ? `at least ${short(atLeast!)}` : `at most ${short(atMost)}`;
  return `${what} ${short(got)}${unit} (wanted: ${wanted}${unit})`;
}

function align(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '));
}
