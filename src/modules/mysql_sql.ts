import mysql from 'mysql2';

/**
 * Statements, built only by the `sql` tag: every value is quoted for MySQL, and `hidden` ones are masked in `shown`,
 * which is what results and errors tell.
 */
export class Sql {
  constructor(
    readonly text: string,
    readonly shown: string,
    /** Secret values in the text, to be masked in what the server says about it. */
    readonly secrets: readonly string[] = [],
  ) {}
}

export type SqlWord = string | number | Sql;

export function sql(strings: TemplateStringsArray, ...words: SqlWord[]): Sql {
  let text = strings[0]!;
  let shown = text;
  const secrets: string[] = [];
  words.forEach((word, i) => {
    const part = word instanceof Sql ? word : typeof word === 'number' ? rawSql(String(word)) : rawSql(mysql.escape(word));
    text += part.text + strings[i + 1]!;
    shown += part.shown + strings[i + 1]!;
    secrets.push(...part.secrets);
  });
  return new Sql(text, shown, secrets);
}

/** Text that is SQL by its nature: the visible exception. */
export function rawSql(text: string): Sql {
  return new Sql(text, text);
}

/** A string that must not be shown. */
export function hidden(value: string): Sql {
  const quoted = mysql.escape(value);
  return new Sql(quoted, "'********'", value === '' ? [] : [quoted.slice(1, -1), value]);
}

/** A quoted identifier; a dot is part of the name. */
export function id(name: string): Sql {
  return rawSql(mysql.escapeId(name, true));
}

export function joinSql(parts: readonly Sql[], separator: string): Sql {
  const all = parts.filter((part) => part.text !== '');
  return new Sql(all.map((part) => part.text).join(separator), all.map((part) => part.shown).join(separator), all.flatMap((part) => part.secrets));
}
