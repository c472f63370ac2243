/** Dates. */
import { NotAheadError } from '../../value/errors.js';
import type { Value } from '../../value/value.js';
import { DateTime } from '../dates.js';
import { numeric, parseFloatText, read, str, truthy } from '../python.js';
import { table } from '../registry.js';
import { formatTime, parseTime, wallClock, zoneName } from '../time.js';
import { fail, type Result } from '../undefined.js';

function seconds(value: Value): number {
  const given = read(value);
  return Number(numeric(given) ?? (typeof given === 'string' ? parseFloatText(given) : undefined) ?? fail(`strftime takes seconds since 1970, not "${str(given)}"`, 'give it a number'));
}

export const TIMES = table<Result>({
  'strftime(string_format, second=null, utc=false)': (env, format, second, utc) => {
    if (second === null && env.scope.services.ahead) throw new NotAheadError('the time');
    const date = new Date(second === null ? Date.now() : Math.floor(seconds(second) * 1000));
    const offset = truthy(utc) ? 0 : -date.getTimezoneOffset();
    return formatTime(str(format), wallClock(date, truthy(utc)) * 1000, offset, truthy(utc) ? 'GMT' : zoneName(date));
  },
  'to_datetime(string, format="%Y-%m-%d %H:%M:%S")': (_, text, format) => {
    const { micros, offset } = parseTime(str(text), str(format));
    return new DateTime(micros, offset);
  },
});
