import { z } from 'zod';

/**
 * Parameter types of Ansible's argument specs as zod schemas. Each takes what Ansible takes (a bool may be
 * written `yes` or `"1"`, a list may be one comma-separated string) and gives the native type.
 * `params({...})` makes the strict object; `.meta({ aliases: […] })` gives other names of a parameter.
 */
export function params<S extends z.ZodRawShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(shape);
}

declare module 'zod' {
  interface GlobalMeta {
    aliases?: readonly string[];
    /** What a run says where it is missing, in place of `missing required arguments`. */
    missing?: string;
    /** The argument's value is never shown. */
    secret?: boolean;
  }
}

const TRUE = new Set<unknown>([true, 1, 'yes', 'on', '1', 'true', 't', 'y']);
const FALSE = new Set<unknown>([false, 0, 'no', 'off', '0', 'false', 'f', 'n']);

/** @param about one sentence for `muster doc` */
export function bool(about: string) {
  return z
    .union([z.boolean(), z.string(), z.number()])
    .transform((value, context) => {
      const key = typeof value === 'string' ? value.toLowerCase() : value;
      if (TRUE.has(key)) return true;
      if (FALSE.has(key)) return false;
      context.addIssue({ code: 'custom', message: `"${value}" is not a boolean (yes, no, true, false)` });
      return z.NEVER;
    })
    .meta({ description: about, title: 'bool' });
}

export function str(about: string) {
  return z
    .union([z.string(), z.number(), z.boolean()])
    .transform((value) => (typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value)))
    .meta({ description: about, title: 'str' });
}

/** A string never shown in output, results, diffs or the journal. */
export function secret(about: string) {
  return str(about).meta({ description: about, title: 'str', secret: true });
}

export function int(about: string) {
  return z
    .union([z.number(), z.string()])
    .transform((value, context) => {
      const number = typeof value === 'string' && /^\s*[+-]?\d+\s*$/.test(value) ? Number(value) : value;
      if (typeof number === 'number' && Number.isInteger(number)) return number;
      context.addIssue({ code: 'custom', message: `"${value}" is not a whole number` });
      return z.NEVER;
    })
    .meta({ description: about, title: 'int' });
}

export function float(about: string) {
  return z
    .union([z.number(), z.string()])
    .transform((value, context) => {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
      if (typeof number === 'number' && !Number.isNaN(number)) return number;
      context.addIssue({ code: 'custom', message: `"${value}" is not a number` });
      return z.NEVER;
    })
    .meta({ description: about, title: 'float' });
}

/** A path on the host; a leading `~` is expanded there, not here. */
export function path(about: string) {
  return str(about).meta({ description: about, title: 'path' });
}

/** A list of strings; one string is split at commas, as Ansible does. */
export function list(about: string) {
  return z
    .union([z.array(z.union([z.string(), z.number(), z.boolean()])), z.string(), z.number()])
    .transform((value) =>
      Array.isArray(value)
        ? value.map(String)
        : String(value)
            .split(',')
            .map((member) => member.trim())
            .filter((member) => member !== ''),
    )
    .meta({ description: about, title: 'list' });
}

export function choice<const T extends readonly [string, ...string[]]>(choices: T, about: string) {
  return z.enum(choices).meta({ description: about, title: 'str' });
}

/** A dict, as it is. */
export function dict(about: string) {
  return z.record(z.string(), z.unknown()).meta({ description: about, title: 'dict' });
}

/** Any value, as it is. */
export function any(about: string) {
  return z.unknown().meta({ description: about, title: 'raw' });
}

/** A file mode: `"0644"`, `0o644` as a number, or symbolic (`u=rw,g=r`, `u+x`); kept as text, numbers as four octal digits. */
export function mode(about: string) {
  return z
    .union([z.string(), z.number()])
    .transform((value, context) => {
      const text = typeof value === 'number' ? value.toString(8).padStart(4, '0') : value.trim();
      if (/^[0-7]{1,4}$/.test(text)) return text.padStart(4, '0');
      if (/^0o?[0-7]{3,5}$/.test(text)) return text.replace(/^0o?/, '').padStart(4, '0');
      const wrong = text === 'preserve' ? undefined : text.split(',').find((part) => !/^(?:[ugo]+|a?)(?:[-+=][rwxXstugo]*)+$/.test(part));
      if (wrong === undefined) return text;
      context.addIssue({ code: 'custom', message: `"${value}" is not a file mode; write "0644" or u=rw,g=r,o=r`, params: { details: `bad symbolic permission for mode: ${wrong}` } });
      return z.NEVER;
    })
    .meta({ description: about, title: 'mode' });
}
