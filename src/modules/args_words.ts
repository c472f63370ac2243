/** What is wrong with arguments in the words of Ansible's modules (module_utils/common), which playbooks look for in `msg`. */
import type { z } from 'zod';
import type { Plain } from '../value/value.js';
import type { Param, Spec } from './args.js';

/** Actions of the controller that speak of options. */
const OPTIONS = new Set(['assert', 'debug', 'fail', 'group_by', 'reboot', 'set_stats', 'wait_for_connection']);

type Given = { [key: string]: Plain };

/**
 * What `register` sees of wrong arguments: `msg`, and what a rule of the module says besides (`rc`). As in Ansible one
 * mistake is told: what is missing before what does not fit, names there are none of last.
 * @param unknown names that are none of the module's parameters
 */
export function argumentFields(spec: Spec, params: readonly Param[], issues: readonly z.core.$ZodIssue[], unknown: readonly string[], given: Given): { msg: string } {
  if (unknown.length > 0 && OPTIONS.has(spec.name)) return { msg: `Invalid options for ${spec.name}: ${unknown.join(',')}` };
  const missing = issues.filter(({ code, path }) => code !== 'custom' && path.length === 1 && given[String(path[0])] === undefined).map(({ path }) => String(path[0]));
  const own = params.find(({ name, schema }) => missing.includes(name) && schema.meta()?.missing)?.schema.meta()!.missing;
  if (missing.length > 0) return { msg: own ?? `missing required arguments: ${missing.sort().join(', ')}` };
  const [first] = issues;
  if (first !== undefined) {
    const param = params.find(({ name }) => name === first.path[0]);
    const more = first.code === 'custom' ? first.params : undefined;
    return { msg: wording(first, param, given), ...more };
  }
  if (unknown.length === 0) return { msg: `${spec.name}: a parameter is given twice` };
  const aliases = params.flatMap((param) => param.aliases).sort();
  const names = params.map(({ name }) => name).filter((name) => name !== spec.freeForm).sort();
  return { msg: `Unsupported parameters for (${spec.name}) module: ${[...unknown].sort().join(', ')}. Supported parameters include: ${names.join(', ')}${aliases.length > 0 ? ` (${aliases.join(', ')})` : ''}.` };
}

function wording(issue: z.core.$ZodIssue, param: Param | undefined, given: Given): string {
  if (param === undefined) return issue.message;
  const value = given[param.name];
  if (issue.code === 'invalid_value' && param.choices) return `value of ${param.name} must be one of: ${param.choices.join(', ')}, got: ${param.secret ? 'VALUE_SPECIFIED_IN_NO_LOG_PARAMETER' : String(value)}`;
  const why = issue.path.length > 1 ? undefined : unconverted(param.type, value);
  // A rule about several parameters stands on one of them, whose value may well be of its type.
  if (why === undefined || param.secret) return issue.message;
  return `argument '${param.name}' is of type ${typeOf(value!)} and we were unable to convert to ${param.type}: ${why}`;
}

/** Why a value cannot be made what a type wants; undefined where it can. */
function unconverted(type: string, value: Plain | undefined): string | undefined {
  if (value === undefined) return undefined;
  const is = typeOf(value);
  const text = typeof value === 'string';
  switch (type) {
    case 'bool': {
      const words = ['yes', 'on', '1', 'true', 't', 'y', 'no', 'off', '0', 'false', 'f', 'n'];
      if (typeof value === 'object') return `${is} cannot be converted to a bool`;
      if (words.includes(String(value).toLowerCase())) return undefined;
      return `The value '${value}' is not a valid boolean.  Valid booleans include: ${words.map((word) => `'${word}'`).join(', ')}, 0, 1`;
    }
    case 'int':
      if (typeof value === 'number' ? Number.isInteger(value) : text && /^\s*[+-]?\d+\s*$/.test(value)) return undefined;
      return `"${text ? `'${value}'` : String(value)}" cannot be converted to an int`;
    case 'float':
      if (typeof value === 'number' || (text && value.trim() !== '' && !Number.isNaN(Number(value)))) return undefined;
      return `${is} cannot be converted to a float`;
    case 'list':
      return Array.isArray(value) || typeof value !== 'object' ? undefined : `${is} cannot be converted to a list`;
    case 'dict':
      if (text) return 'dictionary requested, could not parse JSON or key=value';
      return typeof value === 'object' && !Array.isArray(value) ? undefined : `${is} cannot be converted to a dict`;
    default:
      return undefined;
  }
}

/** Python's name of a value's type. */
function typeOf(value: Plain): string {
  if (value === null) return "<class 'NoneType'>";
  if (Array.isArray(value)) return "<class 'list'>";
  if (typeof value === 'number') return Number.isInteger(value) ? "<class 'int'>" : "<class 'float'>";
  return `<class '${{ string: 'str', boolean: 'bool', object: 'dict' }[typeof value as 'string' | 'boolean' | 'object'] ?? typeof value}'>`;
}
