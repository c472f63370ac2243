/** Regular expressions in Python's syntax. */
import type { Value } from '../../value/value.js';
import { asInt, str, truthy } from '../python.js';
import { escapeRegex, groupOf, pythonRegex, replacement, substitute } from '../regex.js';
import { table } from '../registry.js';
import { fail, type Result } from '../undefined.js';

const flags = (ignorecase: Value, multiline: Value) => `${truthy(ignorecase) ? 'i' : ''}${truthy(multiline) ? 'm' : ''}`;

export const REGEXES = table<Result>({
  'regex_replace(value, pattern="", replacement="", ignorecase=false, multiline=false, count=0, mandatory_count=0)': (_, value, pattern, by, i, m, count, mandatory) => {
    let made = 0;
    const make = replacement(str(by));
    const out = substitute(pythonRegex(str(pattern), flags(i, m)), str(value), (match) => (made++, make(match)), asInt(count, 'count'));
    const wanted = asInt(mandatory, 'mandatory_count');
    if (wanted > 0 && made !== wanted) fail(`regex_replace replaced ${made} times, not ${wanted}`, 'check the pattern "' + str(pattern) + '"');
    return out;
  },
  'regex_search(value, regex, *args, **kwargs)': (_, value, regex, args: Value[], kwargs: Map<Value, Value>) => {
    const match = pythonRegex(str(regex), flags(kwargs.get('ignorecase') ?? false, kwargs.get('multiline') ?? false)).exec(str(value));
    if (!match) return null;
    if (args.length === 0) return match[0];
    return args.map((arg) => {
      const group = /^\\(?:g<(\w+)>|(\d+))$/.exec(str(arg));
      if (!group) return fail(`regex_search takes groups as '\\\\1' or '\\\\g<name>', not "${str(arg)}"`, 'name flags: ignorecase=True');
      return groupOf(match, group[1] ?? group[2]!) ?? null;
    });
  },
  'regex_findall(value, regex, multiline=false, ignorecase=false)': (_, value, regex, m, i) => {
    const compiled = pythonRegex(str(regex), flags(i, m));
    return [...str(value).matchAll(compiled)].map((match) => (match.length === 1 ? match[0] : match.length === 2 ? (match[1] ?? '') : match.slice(1).map((group) => group ?? '')));
  },
  'regex_escape(string, re_type="python")': (_, text, type) => {
    if (str(type) === 'python') return escapeRegex(str(text));
    if (str(type) === 'posix_basic') return str(text).replace(/[[\].^$*\\]/g, '\\$&');
    return fail(`regex_escape knows no re_type "${str(type)}"`, 'it knows python and posix_basic');
  },
});
