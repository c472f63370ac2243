import { Float, toPlain, type Dict, type Plain, type Value } from '../../value/value.js';
import { truthy } from '../evaluate.js';
import { argumentsOf, type Call } from '../call.js';
import { failed, outcome, type Outcome } from '../outcome.js';

/** Statistics that the playbook keeps: of each host, and of the run as a whole under its name in Ansible. */
export const WHOLE_RUN = '_run';

/** Adds to the statistics that are told at the end of the run. */
export async function setStats(call: Call): Promise<Outcome> {
  const { run, host } = call;
  const args = argumentsOf(call);
  const data = args.get('data') ?? new Map();
  if (!(data instanceof Map)) return failed("The 'data' option needs to be a dictionary/hash");
  const flag = (name: string, otherwise: boolean) => {
    const value = args.get(name);
    // As Ansible reads it: what is no word for yes means no.
    return value === undefined || value === null ? otherwise : typeof value === 'string' ? /^(y|yes|t|true|on|1)$/i.test(value) : truthy(value);
  };
  const [perHost, aggregate] = [flag('per_host', false), flag('aggregate', true)];
  const odd = [...data.keys()].find((name) => !/^[A-Za-z_]\w*$/.test(String(name)));
  if (odd !== undefined) return failed(`The variable name '${String(odd)}' is not valid. Variables must start with a letter or underscore character, and contain only letters, numbers and underscores.`);
  const whose = perHost ? host.name : WHOLE_RUN;
  let kept = run.customStats.get(whose);
  if (!kept) run.customStats.set(whose, (kept = new Map()));
  for (const [name, value] of data) {
    const before = kept.get(name);
    kept.set(name, aggregate && before !== undefined ? sum(before, value) : value);
  }
  return outcome({ ansible_stats: { data: toPlain(data, true), per_host: perHost, aggregate }, changed: false });
}

/** Numbers are added, texts and lists joined, dicts merged; of what does not fit together the earlier stays. */
function sum(before: Value, value: Value): Value {
  if (before instanceof Map && value instanceof Map) return merged(before, value);
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value];
  const [a, b] = [plain(before), plain(value)];
  if (typeof a === 'string' && typeof b === 'string') return a + b;
  return typeof a === 'number' && typeof b === 'number' ? a + b : before;
}

function merged(before: Dict, value: Dict): Dict {
  const result = new Map(before);
  for (const [key, member] of value) {
    const known = result.get(key);
    result.set(key, known instanceof Map && member instanceof Map ? merged(known, member) : member);
  }
  return result;
}

function plain(value: Value): Plain {
  return value instanceof Float ? value.value : toPlain(value, true);
}
