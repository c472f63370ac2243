/** The `password` lookup: makes a password once, keeps it in a file of the controller, and gives it from there. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { NotAheadError } from '../value/errors.js';
import { Secret, type Dict, type Value } from '../value/value.js';
import { cryptPassword, makeSalt, schemeOf } from './filters/hashes.js';
import { asInt, iterate, read, str } from './python.js';
import { random } from './random.js';
import type { Env } from './registry.js';
import { fail } from './undefined.js';

/** Names of Python's `string` module. */
const SETS: { [name: string]: string } = {
  ascii_lowercase: 'abcdefghijklmnopqrstuvwxyz',
  ascii_uppercase: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  ascii_letters: 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ',
  digits: '0123456789',
  hexdigits: '0123456789abcdefABCDEF',
  octdigits: '01234567',
  punctuation: '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~',
};

/** @param term the path, optionally with `length=… chars=… encrypt=… seed=…` behind it */
export function lookupPassword(env: Env, term: string, options: Dict): Value {
  const inline = [...term.matchAll(/(?<!\s)\s+(length|chars|encrypt|seed|ident)=(\S+)/g)];
  const path = term.split(/(?<!\s)\s+(?:length|chars|encrypt|seed|ident)=/)[0]!.trim();
  const option = (name: string): Value => options.get(name) ?? inline.find((one) => one[1] === name)?.[2] ?? null;
  for (const name of options.keys()) if (!['length', 'chars', 'encrypt', 'seed', 'ident'].includes(str(name))) fail(`the lookup "password" has no option "${str(name)}"`, 'it takes length, chars, encrypt, ident and seed');
  const encrypt = option('encrypt') === null ? undefined : str(option('encrypt'));
  const full = path === '/dev/null' ? path : resolve(env.scope.services.baseDir, path);
  let content = readIfThere(full);
  const isNew = content === '';
  if (isNew) {
    if (env.scope.services.ahead) throw new NotAheadError('the lookup "password", whose file is not there yet,');
    content = make(env, option('length') === null ? 20 : asInt(option('length'), 'length'), option('chars'), option('seed'));
  }
  let [, password, salt] = /^([^]*?)(?: salt=(\S+))?(?: ident=\S+)?\n?$/.exec(content)! as unknown as [string, string, string | undefined];
  const saltIsNew = encrypt !== undefined && salt === undefined;
  if (saltIsNew) {
    if (env.scope.services.ahead) throw new NotAheadError('the lookup "password", whose salt is not there yet,');
    salt = makeSalt(env, schemeOf(encrypt).salt, option('seed'));
  }
  if ((isNew || saltIsNew) && full !== '/dev/null') {
    let mine: boolean;
    try {
      mine = keep(full, `${password}${salt === undefined ? '' : ` salt=${salt}`}${salt === undefined || option('ident') === null ? '' : ` ident=${str(option('ident'))}`}\n`, isNew);
    } catch (error) {
      return fail(`the password cannot be kept in ${full}: ${(error as NodeJS.ErrnoException).code}`, 'check the folder and its permissions');
    }
    if (!mine) return lookupPassword(env, term, options);
  }
  return new Secret(encrypt === undefined ? password : cryptPassword(env, password, encrypt, salt!, null, option('ident') === null ? null : str(option('ident'))));
}

function readIfThere(path: string): string {
  if (path === '/dev/null') return '';
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    return fail(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`, 'check its permissions');
  }
}

function make(env: Env, length: number, chars: Value, seed: Value): string {
  const names = chars === null ? ['ascii_letters', 'digits', '.,:-_'] : Array.isArray(read(chars)) ? iterate(chars).map(str) : str(chars).replace(/,,/g, '\0').split(',').map((one) => one.replace('\0', ','));
  const letters = [...new Set(names.map((name) => SETS[name] ?? name).join(''))].join('');
  if (letters === '') fail('the lookup "password" has no characters to choose from', 'give chars=ascii_letters,digits');
  const next = seed === null ? undefined : random(env, seed);
  return Array.from({ length }, () => letters[next ? Math.floor(next() * letters.length) : randomInt(letters.length)]!).join('');
}

/** Writes the file whole, for its owner only. @returns false when another run was first with a new one */
function keep(path: string, text: string, isNew: boolean): boolean {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.${randomInt(2 ** 32)}`;
  writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
  try {
    if (!isNew) renameSync(temporary, path);
    else linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && readFileSync(path, 'utf8') !== '') return false;
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  return true;
}
