/** A metric's samples, by their labels as written. */
export interface Family {
  type: string;
  help: string;
  samples: Map<string, number>;
}

/**
 * Reads Prometheus' text format 0.0.4 as strictly as `promtool check metrics` does: HELP and TYPE once and before the
 * samples, the samples of a metric together, valid names, escaped label values, no sample twice, a line feed at the end.
 * @throws Error naming the line
 */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let current: [name: string, family: Family] | undefined;
  if (!text.endsWith('\n')) throw new Error('no line feed at the end');
  for (const line of text.slice(0, -1).split('\n')) {
    const head = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (head) {
      const [, kind, name, rest] = head as unknown as [string, string, string, string];
      if (kind === 'HELP') {
        if (families.has(name)) throw new Error(`a second HELP: ${line}`);
        if (!/[.!]$/.test(rest)) throw new Error(`no sentence: ${line}`);
        current = [name, { type: '', help: rest, samples: new Map() }];
        families.set(...current);
      } else {
        if (current?.[0] !== name || current[1].type !== '' || !/^(counter|gauge|histogram|summary|untyped)$/.test(rest)) throw new Error(`TYPE out of place: ${line}`);
        current[1].type = rest;
      }
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\} (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(line);
    if (!sample) throw new Error(`no sample: ${line}`);
    const [, name, labels, value] = sample as unknown as [string, string, string, string];
    if (current?.[0] !== name || current[1].type === '') throw new Error(`out of place: ${line}`);
    if (current[1].samples.has(labels)) throw new Error(`twice: ${line}`);
    current[1].samples.set(labels, Number(value));
  }
  return families;
}
