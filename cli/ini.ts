/**
 * Reads an INI file as Python's configparser does for Ansible's settings: `key = value` or `key: value`, lines that are
 * indented deeper go on with the value above, `#` and `;` begin a comment line, ` ;` one behind a value. Keys are lower
 * case, nothing is interpolated (docs.python.org, configparser; docs.ansible.com, "Ansible Configuration Settings").
 * @returns sections with their keys, each with its line
 */
export function parseIni(text: string): Map<string, Map<string, { value: string; line: number }>> {
  const sections = new Map<string, Map<string, { value: string; line: number }>>();
  let section: Map<string, { value: string; line: number }> | undefined;
  let open: { value: string; line: number } | undefined;
  let indent = 0;
  text.replace(/^\uFEFF/, '').split(/\r?\n/).forEach((raw, index) => {
    if (/^\s*[#;]/.test(raw)) return;
    const line = raw.replace(/\s;.*$/, '');
    const depth = line.length - line.trimStart().length;
    if (line.trim() === '') {
      if (open) open.value += '\n';
      return;
    }
    if (open && depth > indent) {
      open.value += `\n${line.trim()}`;
      return;
    }
    open = undefined;
    const header = /^\[(.+)\]/.exec(line.trim());
    if (header) {
      const known = sections.get(header[1]!) ?? new Map<string, { value: string; line: number }>();
      sections.set(header[1]!, (section = known));
      return;
    }
    const pair = /^([^=:]+)[=:](.*)$/.exec(line);
    if (!pair || !section) return;
    indent = depth;
    section.set(pair[1]!.trim().toLowerCase(), (open = { value: pair[2]!.trim(), line: index + 1 }));
  });
  for (const keys of sections.values()) for (const entry of keys.values()) entry.value = entry.value.trim();
  return sections;
}
