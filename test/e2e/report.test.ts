import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { folder } from '../cli/folder.js';
import { muster } from '../cli/muster.js';
import { Browser } from './browser.js';

const SITE = `- hosts: all
  gather_facts: false
  tasks:
    - name: Write <script>document.title = 'broken out'</script> the configuration of the proxy in front of all
      copy:
        content: "listen {{ port | default(80) }};\\nroot /srv/<img src=x onerror=alert(1)>;\\n{{ 'x' * 300 }}\\n"
        dest: "{{ playbook_dir }}/conf-{{ inventory_hostname }}"
    - name: Break
      shell: printf '\\033[31m"><script>document.title = "broken out"</script>\\n' >&2; exit 3
      when: fails is defined and inventory_hostname == 'web2'
`;
const HERE = ['-c', 'local', '-i', 'web1,web2,a-host-with-quite-a-long-name.example.com,'];

test('the report in a real browser: whole, readable on a phone, light and dark, nothing breaks out of its text, nothing is fetched', async (t) => {
  t.timeout(5 * 60_000);
  const cwd = await folder(t, { 'site.yml': SITE });
  await muster(['apply', 'site.yml', ...HERE], { cwd });
  for (let i = 0; i < 3; i++) {
    if (i === 1) await writeFile(join(cwd, 'conf-web1'), 'by hand\n');
    await muster(['drift', 'site.yml', ...HERE], { cwd });
  }
  const ran = await muster(['apply', 'site.yml', '-D', '-e', 'port=8080 fails=yes', ...HERE], { cwd });
  t.is(ran.code, 3);
  t.deepEqual(await muster(['report', 'last', '--html', 'report.html'], { cwd }), { code: 0, stdout: '', stderr: '' });
  t.notRegex(await readFile(join(cwd, 'report.html'), 'utf8'), /<(link|script|img|iframe|object)\b/i);

  const browser = await Browser.open();
  try {
    const url = `file://${join(cwd, 'report.html')}`;
    const papers = new Set<string>();
    for (const scheme of ['light', 'dark'] as const)
      for (const width of [1280, 390]) {
        await browser.show(url, { width, scheme });
        t.is(await browser.evaluate('document.title'), `apply site.yml · ${await browser.evaluate<string>("document.querySelector('.facts b').textContent")}`);
        t.true((await browser.evaluate<number>('document.documentElement.scrollWidth')) <= width, `wider than a window of ${width} pixels`);
        t.is(await browser.evaluate('document.scripts.length + document.images.length'), 0);
        t.is(await browser.evaluate("performance.getEntriesByType('resource').length"), 0);
        papers.add(await browser.evaluate('getComputedStyle(document.body).backgroundColor'));
        // WCAG 2.2, 1.4.3: text is told from its ground.
        t.deepEqual(await browser.evaluate(FAINT), [], `${scheme}: too faint`);
        await browser.screenshot(join(cwd, `${scheme}-${width}.png`));
        t.true((await readFile(join(cwd, `${scheme}-${width}.png`))).length > 20_000);
      }
    t.is(papers.size, 2, 'light and dark have grounds of their own');
    const texts = (selector: string) => browser.evaluate<string[]>(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((each) => each.textContent.trim())`);
    t.deepEqual(await texts('section h2'), ['Hosts', 'What changed where', 'Timeline', 'Drift over the last runs', 'Slow tasks']);
    t.regex((await texts('#changes summary'))[0]!, /^failed Break web2$/);
    t.true((await texts('#changes ins')).includes('+listen 8080;') && (await texts('#changes del')).includes('-by hand'));
    t.true((await texts('#changes dd')).some((text) => text.startsWith('\\x1b[31m"><script>')));
    t.deepEqual((await texts('#timeline .row > span')).slice(0, 3), HERE[3]!.split(',').slice(0, 3));
    t.deepEqual((await texts('#drift tr td:not(.task)')), ['·', '●', '●']);
    const bars = await browser.evaluate<{ left: number; right: number }[]>("[...document.querySelectorAll('.track')].flatMap((track) => [...track.querySelectorAll('i')].map((bar) => ({ left: bar.getBoundingClientRect().left - track.getBoundingClientRect().left, right: track.getBoundingClientRect().right - bar.getBoundingClientRect().right })))");
    t.true(bars.length >= 4 && bars.every(({ left, right }) => left >= -1 && right >= -3), 'bars stand within their tracks');
  } finally {
    await browser.close();
  }
});

/** The texts whose contrast with what is behind them is below 4.5 (3 for bold marks). */
const FAINT = `(() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (colour) => parse(colour).slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => { for (let at = element; at; at = at.parentElement) { const colour = getComputedStyle(at).backgroundColor; if (parse(colour)[3] !== 0) return colour; } return 'rgb(255, 255, 255)'; };
  return [...document.querySelectorAll('body *')].filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())).flatMap((each) => {
    const style = getComputedStyle(each);
    const [a, b] = [light(style.color), light(ground(each))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    return contrast < (Number(style.fontWeight) >= 600 ? 3 : 4.5) ? [each.tagName + ' ' + each.className + ' ' + contrast.toFixed(2)] : [];
  });
})()`;
