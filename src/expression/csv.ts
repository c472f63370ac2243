/** Comma-separated values, as Python's `csv` reads them. */

export interface CsvOptions {
  delimiter: string;
  /** White space behind a delimiter does not count. */
  skipSpace?: boolean;
}

/** Rows of cells; empty lines are left out. Cells in double quotes may hold delimiters, line breaks and doubled quotes. */
export function parseCsv(text: string, { delimiter, skipSpace = false }: CsvOptions): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  let begun = false;
  const endRow = () => {
    if (begun || row.length > 0) rows.push([...row, cell]);
    row = [];
    cell = '';
    begun = false;
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (quoted) {
      if (character !== '"') cell += character;
      else if (text[at + 1] === '"') cell += text[++at];
      else quoted = false;
    } else if (text.startsWith(delimiter, at)) {
      row.push(cell);
      cell = '';
      begun = true;
      at += delimiter.length - 1;
      while (skipSpace && text[at + 1] === ' ') at++;
    } else if (character === '"' && cell === '') quoted = begun = true;
    else if (character === '\n' || character === '\r') {
      endRow();
      if (character === '\r' && text[at + 1] === '\n') at++;
    } else {
      cell += character;
      begun = true;
    }
  }
  endRow();
  return rows;
}
