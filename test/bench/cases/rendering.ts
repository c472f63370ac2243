import { fileURLToPath } from 'node:url';
import { short, type Case } from '../case.js';
import { node } from '../process.js';
import type { Rendering } from '../render.js';
import { median } from '../race.js';

const RENDER = fileURLToPath(new URL('../render.js', import.meta.url));
const ROUNDS = 5;

export const rendering: Case = {
  name: 'rendering',
  title: 'Rendering',
  about: '200 templates for 1000 hosts each, on the controller alone: variables of a host, its groups and other hosts, a loop and a condition. Memory is what a collected heap holds after a tenth of the hosts and after all.',
  async run() {
    const kinds = ['hbs', 'j2', 'expression'] as const;
    const rows = [['', 'a render', 'min – max', 'heap after 100 hosts', 'after 1000', 'runs']];
    const goals = [];
    for (const kind of kinds) {
      const laps: Rendering[] = [];
      for (let round = 0; round < ROUNDS; round++) laps.push(JSON.parse((await node(['--expose-gc', RENDER, kind])).stdout) as Rendering);
      const each = laps.map(({ micros }) => micros);
      const [early, late] = [median(laps.map((lap) => lap.early)), median(laps.map((lap) => lap.late))];
      const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
      rows.push([{ hbs: 'Handlebars (.hbs)', j2: 'Jinja (.j2)', expression: 'expression in YAML' }[kind], `${short(median(each))} µs`, `${short(Math.min(...each))} – ${short(Math.max(...each))} µs`, mb(early), mb(late), String(ROUNDS)]);
      goals.push({ what: `growth of the heap over 900 hosts, ${kind}`, got: (late - early) / 1e6, atMost: 5, unit: ' MB' });
    }
    return { rows, goals };
  },
};
