import test from 'ava';
import { head, play } from './support.js';

const site = (tasks: string): string => `${head}  tasks:\n${tasks}`;

test('a result has the texts that change where diffs are wanted, by the task or by the run', async (t) => {
  const tasks = `    - {name: new, copy: {dest: "{{ root }}/text", content: "one\\n"}, diff: true}
    - {name: again, copy: {dest: "{{ root }}/text", content: "two\\n"}, diff: true}
    - {name: silent, copy: {dest: "{{ root }}/text", content: "three\\n"}, diff: false}
    - {name: same, copy: {dest: "{{ root }}/text", content: "three\\n"}}
    - {name: mode, copy: {dest: "{{ root }}/text", content: "three\\n", mode: "0600"}}
    - {name: planned, copy: {dest: "{{ root }}/text", content: "four\\n"}, check_mode: true, diff: true}
    - {name: line, lineinfile: {path: "{{ root }}/text", line: four, mode: "0640"}, diff: true}
    - {name: quiet line, lineinfile: {path: "{{ root }}/text", line: five}}
    - {name: replaced, replace: {path: "{{ root }}/text", regexp: "^f", replace: F}, diff: true}
    - {name: quietly replaced, replace: {path: "{{ root }}/text", regexp: "^F", replace: f}}
`;
  const { rig, data } = await play(t, site(tasks), { limit: 'a' });
  const path = `${rig.folder}/hosts/a/text`;
  t.deepEqual(data('new').diff, [{ before: '', after_header: path, after: 'one\n' }]);
  t.deepEqual(data('again').diff, [{ before_header: path, before: 'one\n', after_header: path, after: 'two\n' }]);
  t.deepEqual(data('silent').diff, []);
  t.deepEqual(data('same').diff, { before: { path }, after: { path } });
  t.deepEqual(data('mode').diff, { before: { path, mode: '0644' }, after: { path, mode: '0600' } });
  t.deepEqual(data('planned').diff, [{ before_header: path, before: 'three\n', after_header: path, after: 'four\n' }]);
  const [content, attributes] = ['content', 'file attributes'].map((what) => ({ before_header: `${path} (${what})`, after_header: `${path} (${what})` }));
  t.deepEqual(data('line').diff, [{ before: 'three\n', after: 'three\nfour\n', ...content }, { before: { mode: '0600' }, after: { mode: '0640' }, ...attributes }]);
  t.deepEqual(data('quiet line').diff, [{ before: '', after: '', ...content }, attributes]);
  t.deepEqual(data('replaced').diff, { before_header: path, before: 'three\nfour\nfive\n', after_header: path, after: 'three\nFour\nFive\n' });
  t.false('diff' in data('quietly replaced'));
  await rig.write({ 'site.yml': site('    - {name: again, copy: {dest: "{{ root }}/text", content: "one\\n"}}\n    - {name: without, copy: {dest: "{{ root }}/text", content: "two\\n"}, diff: false}\n') });
  await rig.run({ limit: 'a', diff: true });
  t.is(data('again').diff[0].after, 'one\n');
  t.deepEqual(data('without').diff, []);
});

test('loops keep the diff of each item', async (t) => {
  const { data } = await play(t, site('    - {name: all, copy: {dest: "{{ root }}/{{ item }}", content: "{{ item }}"}, loop: [x, y], diff: true, register: all}\n    - {name: seen, debug: {msg: "{{ all.results | map(attribute=\'diff.0.after\') }}"}}\n'), { limit: 'a' });
  t.deepEqual(data('seen').msg, ['x', 'y']);
});

test('file tells what changes of a path, and what goes with a folder', async (t) => {
  const tasks = `    - {name: made, file: {path: "{{ root }}/dir/sub", state: directory}}
    - {name: touched, file: {path: "{{ root }}/dir/one", state: touch}}
    - {name: link, file: {path: "{{ root }}/link", src: one, state: link, force: true}}
    - {name: relinked, file: {path: "{{ root }}/link", src: two, state: link, force: true}}
    - {name: time, file: {path: "{{ root }}/dir/one", modification_time: "202401020304.05"}}
    - {name: quiet, file: {path: "{{ root }}/dir", state: absent}, check_mode: true}
    - {name: gone, file: {path: "{{ root }}/dir", state: absent}, diff: true}
    - {name: already, file: {path: "{{ root }}/dir", state: absent}, diff: true}
`;
  const { rig, data } = await play(t, site(tasks), { limit: 'a' });
  const path = `${rig.folder}/hosts/a/dir`;
  const link = `${rig.folder}/hosts/a/link`;
  t.deepEqual(data('made').diff, { before: { path: `${path}/sub`, state: 'absent' }, after: { path: `${path}/sub`, state: 'directory' } });
  t.deepEqual(data('link').diff, { before: { path: link, state: 'absent' }, after: { path: link, state: 'link' } });
  t.deepEqual(data('relinked').diff, { before: { path: link, src: 'one' }, after: { path: link, src: 'two' } });
  t.deepEqual(Object.keys(data('time').diff.after), ['path', 'mtime']);
  t.deepEqual(data('quiet').diff, { before: { path, state: 'directory' }, after: { path, state: 'absent' } });
  t.deepEqual(data('gone').diff.before, { path, state: 'directory', path_content: { directories: [`${path}/sub`], files: [`${path}/one`] } });
  t.deepEqual(data('already').diff, { before: { path }, after: { path } });
});

test('secrets stay out of what is registered: those of the text, what they replace, and all under no_log', async (t) => {
  const tasks = `    - {copy: {dest: "{{ root }}/text", content: "word: older\\n"}}
    - {name: secret, copy: {dest: "{{ root }}/text", content: "word: {{ pass }}\\n"}, vars: {pass: "{{ lookup('password', '/dev/null') }}"}, diff: true}
    - {copy: {dest: "{{ root }}/text", content: "plain\\n"}, diff: true, no_log: true, register: hidden}
    - {name: told, debug: {msg: "{{ hidden.diff }}"}}
`;
  const { rig, data } = await play(t, site(tasks), { limit: 'a' });
  const path = `${rig.folder}/hosts/a/text`;
  const after = ' [[ Diff output has been hidden because it holds a secret, or because of no_log ]]\n';
  t.deepEqual(data('secret').diff, [{ before_header: path, before: '', after_header: path, after }]);
  t.deepEqual(data('told').msg, [{ before_header: path, before: '', after_header: path, after }]);
});
