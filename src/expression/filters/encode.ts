/** JSON, YAML, base64 and URLs. */
import { dumpYaml, parseAllData, parseData } from '../../yaml/index.js';
import { Secret, type Dict, type Value } from '../../value/value.js';
import { asInt, iterate, read, str, truthy } from '../python.js';
import { table } from '../registry.js';
import { fail, type Result } from '../undefined.js';
import { parseJson, toJson } from '../json.js';

/** All secrets inside opened (and noted as read), for writers that see the whole value. */
function opened(value: Value): Value {
  if (value instanceof Secret) return read(value);
  if (Array.isArray(value)) return value.map(opened);
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [opened(key), opened(member)]));
  return read(value);
}

const percent = (text: string, keep: string) => encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`).replace(/%2F/g, keep.includes('/') ? '/' : '%2F');

function yamlOptions(kwargs: Dict, flow: 'leaves' | 'none', indent: number | undefined) {
  const style = kwargs.get('default_flow_style');
  return {
    indent: kwargs.has('indent') ? asInt(kwargs.get('indent')!, 'indent') : indent,
    flow: style === undefined ? flow : style === null ? ('leaves' as const) : truthy(style) ? ('all' as const) : ('none' as const),
    width: kwargs.has('width') ? Number(str(kwargs.get('width')!).replace('inf', 'Infinity')) : undefined,
    sortKeys: truthy(kwargs.get('sort_keys') ?? true),
    allowUnicode: truthy(kwargs.get('allow_unicode') ?? true),
    explicitStart: truthy(kwargs.get('explicit_start') ?? false),
    explicitEnd: truthy(kwargs.get('explicit_end') ?? false),
  };
}

/** What a variable of several parts spelled is the data it spells already (`spelled.ts`). */
const data = (value: Value): Value | undefined => (Array.isArray(value) || value instanceof Map ? value : undefined);

type YamlOptions = Parameters<typeof dumpYaml>[1];
const yaml = (value: Value, options: ReturnType<typeof yamlOptions>): string => {
  const { indent, width, ...rest } = options;
  const all: YamlOptions = { ...rest, ...(indent === undefined ? {} : { indent }), ...(width === undefined ? {} : { width }) };
  return dumpYaml(opened(value), all);
};

export const ENCODING = table<Result>({
  'to_json(value, **kwargs)': (_, value, kwargs: Dict) => toJson(opened(value), jsonOptions(kwargs, undefined, false)),
  'to_nice_json(value, indent=4, sort_keys=true, **kwargs)': (_, value, indent, sort, kwargs: Dict) => toJson(opened(value), jsonOptions(kwargs, asInt(indent, 'indent'), truthy(sort))),
  'tojson(value, indent=null)': (_, value, indent) =>
    toJson(opened(value), { indent: indent === null ? undefined : asInt(indent, 'indent'), sortKeys: true, ascii: true }).replace(/[<>&']/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`),
  'from_json(value)': (_, value) => data(value) ?? parseJson(str(value)),
  'to_yaml(value, **kwargs)': (_, value, kwargs: Dict) => yaml(value, yamlOptions(kwargs, 'leaves', undefined)),
  'to_nice_yaml(value, indent=4, **kwargs)': (_, value, indent, kwargs: Dict) => yaml(value, yamlOptions(kwargs, 'none', asInt(indent, 'indent'))),
  'from_yaml(value)': (_, value) => data(value) ?? parseData(str(value), 'from_yaml'),
  'from_yaml_all(value)': (_, value) => parseAllData(str(value), 'from_yaml_all'),
  'b64encode(value, encoding="utf-8")': (_, value, encoding) => Buffer.from(str(value), bufferEncoding(encoding)).toString('base64'),
  'b64decode(value, encoding="utf-8")': (_, value, encoding) => Buffer.from(str(value), 'base64').toString(bufferEncoding(encoding)),
  'urlencode(value)': (_, given) => {
    const value = read(given);
    const plus = (one: Value) => percent(str(one), '').replaceAll('%20', '+');
    if (value instanceof Map) return [...value].map(([key, one]) => `${plus(key)}=${plus(one)}`).join('&');
    if (Array.isArray(value)) return value.map((pair) => iterate(pair).map(plus).join('=')).join('&');
    return percent(str(value), '/');
  },
  'urldecode(value)': (_, value) => decodeURIComponent(str(value).replaceAll('+', ' ')),
  'urlsplit(value, query="")': (_, value, query) => {
    const found = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(str(value))!;
    const [, scheme = '', netloc = '', path = '', search = '', fragment = ''] = found;
    const at = netloc.lastIndexOf('@');
    const [whole, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(netloc.slice(at + 1)) ?? [];
    const user = at < 0 || whole === undefined ? undefined : netloc.slice(0, at);
    const [username, password] = user === undefined ? [null, null] : (/^([^:]*)(?::(.*))?$/s.exec(user)!.slice(1, 3).map((one) => one ?? null) as [Value, Value]);
    const parts = new Map<Value, Value>([
      ['fragment', fragment],
      ['hostname', host === '' ? null : host.replace(/^\[|\]$/g, '').toLowerCase()],
      ['netloc', netloc],
      ['password', password],
      ['path', path],
      ['port', port === undefined ? null : Number(port)],
      ['query', search],
      ['scheme', scheme.toLowerCase()],
      ['username', username],
    ]);
    if (str(query) === '') return parts;
    return parts.get(str(query)) ?? (parts.has(str(query)) ? null : fail(`unknown URL component: ${str(query)}`, `it knows ${[...parts.keys()].join(', ')}`));
  },
});

function jsonOptions(kwargs: Dict, indent: number | undefined, sortKeys: boolean) {
  const separators = kwargs.get('separators');
  return {
    indent: kwargs.has('indent') && kwargs.get('indent') !== null ? asInt(kwargs.get('indent')!, 'indent') : indent,
    sortKeys: truthy(kwargs.get('sort_keys') ?? sortKeys),
    ascii: truthy(kwargs.get('ensure_ascii') ?? true),
    ...(Array.isArray(separators) ? { separators: separators.map(str) as [string, string] } : {}),
  };
}

function bufferEncoding(given: Value): BufferEncoding {
  const name = str(given).toLowerCase();
  const known: { [name: string]: BufferEncoding } = { 'utf-8': 'utf8', utf8: 'utf8', ascii: 'ascii', 'latin-1': 'latin1', latin1: 'latin1', 'iso-8859-1': 'latin1', 'utf-16-le': 'utf16le' };
  return known[name] ?? fail(`unknown encoding "${name}"`, 'known are utf-8, utf-16-le, latin-1 and ascii');
}
