/** Dates. There is no date value: `to_datetime` gives `YYYY-MM-DD HH:MM:SS`, which compares as dates do. */
import { NotAheadError } from '../../value/errors.js';
import { numeric, read, str } from '../python.js';
import { table } from '../registry.js';
import type { Result } from '../undefined.js';
import { formatTime, parseTime } from '../time.js';

export const TIMES = table<Result>({
  'strftime(string_format, second=null, utc=false)': (env, format, second, utc) => {
    if (second === null && env.scope.services.ahead) throw new NotAheadError('the time');
    const time = second === null ? Date.now() : Number(numeric(read(second)) ?? str(second)) * 1000;
    return formatTime(str(format), new Date(time), read(utc) === true);
  },
  'to_datetime(string, format="%Y-%m-%d %H:%M:%S")': (_, text, format) => formatTime('%Y-%m-%d %H:%M:%S', parseTime(str(text), str(format)), true),
});
