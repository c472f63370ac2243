import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluateSource, noServices, Record, type Services } from '../../src/expression/index.js';
import { loadInventory } from '../../src/inventory/index.js';
import { Templates } from '../../src/template/index.js';
import { Source } from '../../src/value/value.js';
import { Variables } from '../../src/variables/index.js';

/** A program: renders 200 templates of a kind for 1000 hosts and prints what it took. Needs --expose-gc. */
export interface Rendering {
  /** A render, in microseconds. */
  micros: number;
  /** Bytes of heap in use after a tenth of the hosts, and after all. */
  early: number;
  late: number;
}

const HOSTS = 1000;
const TEMPLATES = 200;

const TEXTS = {
  hbs: (n: number) => `# {{inventory_hostname}} of rack {{rack}}, service ${n}
listen {{address}}:{{port}}
{{#if debug}}log debug{{else}}log {{upper level}}{{/if}}
{{#each peers}}
server {{this.name}} {{this.address}}:{{../port}}
{{/each}}
{{join names ', '}}
`,
  j2: (n: number) => `# {{ inventory_hostname }} of rack {{ rack }}, service ${n}
listen {{ address }}:{{ port }}
{% if debug %}log debug{% else %}log {{ level | upper }}{% endif %}

{% for peer in peers %}
server {{ peer.name }} {{ peer.address }}:{{ port }}
{% endfor %}
{{ names | join(', ') }}
`,
  expression: (n: number) => `{{ 'debug' if debug else level | upper }} {{ address }}:{{ port + ${n} }} {{ peers | map(attribute='name') | join(' ') }} {{ names | length }}`,
};

const kind = process.argv[2] as keyof typeof TEXTS;
const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
try {
  const inventory = join(folder, 'hosts.yml');
  writeFileSync(
    inventory,
    `all:
  vars:
    level: warn
    debug: "{{ level == 'debug' }}"
    port: "{{ 8000 + (rack | int) }}"
    address: "{{ ansible_host }}"
    names: [one, two, three]
    peers: "{{ [{'name': 'a', 'address': address}, {'name': 'b', 'address': '10.0.0.2'}, {'name': inventory_hostname, 'address': ansible_host}] }}"
  hosts:
${Array.from({ length: HOSTS }, (_, i) => `    host${i}: {ansible_host: 10.0.${i >> 8}.${i & 255}, rack: "${i % 20}"}\n`).join('')}`,
  );
  const loaded = await loadInventory([inventory]);
  const variables = new Variables(loaded);
  const templates = new Templates();
  const services: Services = noServices(folder);
  const renders = Array.from({ length: TEMPLATES }, (_, n) => {
    const text = TEXTS[kind](n);
    if (kind === 'expression') {
      const source = new Source(text, { file: 'site.yml', line: n + 1, column: 1 });
      return (host: string) => void evaluateSource(source, variables.scope({ host, services }), new Record());
    }
    const path = join(folder, `template${n}.${kind}`);
    writeFileSync(path, text);
    return (host: string) => void templates.render(path, variables.scope({ host, services }));
  });
  let early = 0;
  let spent = 0;
  for (const [i, host] of [...loaded.hosts.keys()].entries()) {
    const began = performance.now();
    for (const render of renders) render(host);
    spent += performance.now() - began;
    if (i === HOSTS / 10) early = heap();
  }
  console.log(JSON.stringify({ micros: (spent * 1000) / HOSTS / TEMPLATES, early, late: heap() } satisfies Rendering));
} finally {
  rmSync(folder, { recursive: true });
}

function heap(): number {
  (globalThis as { gc?: () => void }).gc!();
  return process.memoryUsage().heapUsed;
}
