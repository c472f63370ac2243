/** Python's datetime, date and timedelta, as far as playbooks use them. */
import { Callable, Instance, type Value } from '../value/value.js';
import { bind, signature } from './binding.js';
import { asInt, numeric, read, str, toFloat } from './python.js';
import { fail } from './undefined.js';
import { formatTime, wallClock } from './time.js';

const SECOND = 1_000_000;
const DAY = 86_400 * SECOND;

const pad = (value: number, width = 2) => String(value).padStart(width, '0');

function method(name: string, parameters: string, run: (...args: Value[]) => Value): Callable {
  const wanted = signature(parameters);
  return new Callable(name, (args, named) => run(...bind(wanted, `${name}()`, args, named)));
}

/** A day, with or without a time of it. */
export class DateTime extends Instance {
  /**
   * @param micros microseconds from 1970-01-01 00:00 to what the clock on the wall shows
   * @param offset minutes by which that clock is ahead of UTC; undefined where that is not known (Python's naive ones)
   */
  constructor(
    readonly micros: number,
    readonly offset?: number,
    readonly type: 'datetime' | 'date' = 'datetime',
  ) {
    super();
  }

  /** What the clock of this machine shows, or with `utc` that of Greenwich. */
  static now(utc: boolean): DateTime {
    const now = new Date();
    return new DateTime(wallClock(now, utc) * 1000);
  }

  get #wall(): Date {
    return new Date(Math.floor(this.micros / 1000));
  }
  get #micro(): number {
    return ((this.micros % SECOND) + SECOND) % SECOND;
  }

  toString(): string {
    return this.type === 'date' ? this.#day() : this.#iso(' ');
  }
  override toJSON(): string {
    return this.type === 'date' ? this.#day() : this.#iso('T');
  }
  repr(): string {
    const wall = this.#wall;
    const day = [wall.getUTCFullYear(), wall.getUTCMonth() + 1, wall.getUTCDate()];
    if (this.type === 'date') return `datetime.date(${day.join(', ')})`;
    const parts = [...day, wall.getUTCHours(), wall.getUTCMinutes(), wall.getUTCSeconds(), this.#micro];
    while (parts.length > 5 && parts.at(-1) === 0) parts.pop();
    const zone = this.offset === undefined ? '' : this.offset === 0 ? ', tzinfo=datetime.timezone.utc' : `, tzinfo=datetime.timezone(${new TimeDelta(this.offset * 60 * SECOND).repr()})`;
    return `datetime.datetime(${parts.join(', ')}${zone})`;
  }
  #day(): string {
    const wall = this.#wall;
    return `${pad(wall.getUTCFullYear(), 4)}-${pad(wall.getUTCMonth() + 1)}-${pad(wall.getUTCDate())}`;
  }
  #iso(separator: string): string {
    const wall = this.#wall;
    const fraction = this.#micro === 0 ? '' : `.${pad(this.#micro, 6)}`;
    const { offset } = this;
    const zone = offset === undefined ? '' : `${offset < 0 ? '-' : '+'}${pad(Math.floor(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)}`;
    return `${this.#day()}${separator}${pad(wall.getUTCHours())}:${pad(wall.getUTCMinutes())}:${pad(wall.getUTCSeconds())}${fraction}${zone}`;
  }

  format(format: string): string {
    return formatTime(format, this.micros, this.offset);
  }
  /** Microseconds since 1970 in Greenwich; a naive clock is this machine's. */
  get epoch(): number {
    if (this.offset !== undefined) return this.micros - this.offset * 60 * SECOND;
    const wall = this.#wall;
    const local = new Date(wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate(), wall.getUTCHours(), wall.getUTCMinutes(), wall.getUTCSeconds());
    return local.getTime() * 1000 + this.#micro;
  }

  attribute(name: string): Value | undefined {
    const wall = this.#wall;
    const isTime = this.type === 'datetime';
    switch (name) {
      case 'year':
        return wall.getUTCFullYear();
      case 'month':
        return wall.getUTCMonth() + 1;
      case 'day':
        return wall.getUTCDate();
      case 'weekday':
        return method(name, '', () => (wall.getUTCDay() + 6) % 7);
      case 'isoweekday':
        return method(name, '', () => wall.getUTCDay() || 7);
      case 'isocalendar':
        return method(name, '', () => [...this.format('%G %V %u').split(' ').map(Number)]);
      case 'strftime':
        return method(name, 'format', (format) => this.format(str(format!)));
      case 'isoformat':
        return method(name, 'sep="T"', (separator) => (isTime ? this.#iso(str(separator!)) : this.#day()));
      case 'ctime':
        return method(name, '', () => this.format('%a %b %e %H:%M:%S %Y'));
      case 'toordinal':
        return method(name, '', () => Math.floor(this.micros / DAY) + 719_163);
      case 'replace':
        return method(name, 'year=null, month=null, day=null, hour=null, minute=null, second=null, microsecond=null', (...given) => this.#replace(given));
    }
    if (!isTime) return undefined;
    switch (name) {
      case 'hour':
        return wall.getUTCHours();
      case 'minute':
        return wall.getUTCMinutes();
      case 'second':
        return wall.getUTCSeconds();
      case 'microsecond':
        return this.#micro;
      case 'tzinfo':
        return this.offset === undefined ? null : this.format('UTC%z').replace(/(\d\d)$/, ':$1').replace(/[+-]00:00$/, '');
      case 'date':
        return method(name, '', () => new DateTime(Math.floor(this.micros / DAY) * DAY, undefined, 'date'));
      case 'timestamp':
        return method(name, '', () => toFloat(this.epoch / SECOND));
      case 'utcoffset':
        return method(name, '', () => (this.offset === undefined ? null : new TimeDelta(this.offset * 60 * SECOND)));
    }
    return undefined;
  }

  #replace(given: Value[]): DateTime {
    const wall = this.#wall;
    const now = [wall.getUTCFullYear(), wall.getUTCMonth() + 1, wall.getUTCDate(), wall.getUTCHours(), wall.getUTCMinutes(), wall.getUTCSeconds(), this.#micro];
    const [year, month, day, hour, minute, second, micro] = now.map((value, i) => (given[i] === null ? value : asInt(given[i]!, 'replace()'))) as [number, number, number, number, number, number, number];
    const made = new Date(0);
    made.setUTCFullYear(year, month - 1, day);
    made.setUTCHours(hour, minute, second);
    if (made.getUTCMonth() + 1 !== month || made.getUTCDate() !== day) fail('day is out of range for month');
    return new DateTime(made.getTime() * 1000 + micro, this.offset, this.type);
  }

  order(other: Instance): number | undefined {
    if (!(other instanceof DateTime) || other.type !== this.type) return undefined;
    if ((this.offset === undefined) !== (other.offset === undefined)) return undefined;
    return this.offset === undefined ? this.micros - other.micros : this.epoch - other.epoch;
  }

  arithmetic(operator: string, other: Value, isRight: boolean): Value | undefined {
    if (operator === '-' && !isRight && other instanceof DateTime && other.type === this.type) {
      return new TimeDelta(this.order(other) ?? fail("can't subtract offset-naive and offset-aware datetimes", 'give both a time zone, or neither'));
    }
    if (!(other instanceof TimeDelta) || (operator !== '+' && (operator !== '-' || isRight))) return undefined;
    const span = this.type === 'date' ? other.days * DAY : other.micros;
    return new DateTime(this.micros + (operator === '+' ? span : -span), this.offset, this.type);
  }
}

/** A span of time. */
export class TimeDelta extends Instance {
  readonly type = 'timedelta';
  readonly days: number;
  readonly #seconds: number;
  readonly #micro: number;
  constructor(readonly micros: number) {
    super();
    this.days = Math.floor(micros / DAY);
    const rest = micros - this.days * DAY;
    this.#seconds = Math.floor(rest / SECOND);
    this.#micro = rest - this.#seconds * SECOND;
  }
  toString(): string {
    const day = this.days === 0 ? '' : `${this.days} day${Math.abs(this.days) === 1 ? '' : 's'}, `;
    const time = `${Math.floor(this.#seconds / 3600)}:${pad(Math.floor(this.#seconds / 60) % 60)}:${pad(this.#seconds % 60)}`;
    return `${day}${time}${this.#micro === 0 ? '' : `.${pad(this.#micro, 6)}`}`;
  }
  repr(): string {
    const parts = [['days', this.days], ['seconds', this.#seconds], ['microseconds', this.#micro]] as const;
    return `datetime.timedelta(${parts.filter(([, value]) => value !== 0).map(([name, value]) => `${name}=${value}`).join(', ') || '0'})`;
  }
  attribute(name: string): Value | undefined {
    switch (name) {
      case 'days':
        return this.days;
      case 'seconds':
        return this.#seconds;
      case 'microseconds':
        return this.#micro;
      case 'total_seconds':
        return method(name, '', () => toFloat(this.micros / SECOND));
    }
    return undefined;
  }
  override get isFalse(): boolean {
    return this.micros === 0;
  }
  order(other: Instance): number | undefined {
    return other instanceof TimeDelta ? this.micros - other.micros : undefined;
  }
  arithmetic(operator: string, other: Value, isRight: boolean): Value | undefined {
    if (other instanceof TimeDelta && !isRight) {
      if (operator === '+') return new TimeDelta(this.micros + other.micros);
      if (operator === '-') return new TimeDelta(this.micros - other.micros);
      if (other.micros === 0) return fail('division by zero');
      if (operator === '/') return toFloat(this.micros / other.micros);
      if (operator === '//') return Math.floor(this.micros / other.micros);
      return undefined;
    }
    const number = numeric(read(other));
    if (number === undefined) return undefined;
    if (operator === '*') return new TimeDelta(Math.round(this.micros * Number(number)));
    if (isRight || (operator !== '/' && operator !== '//')) return undefined;
    if (Number(number) === 0) return fail('division by zero');
    return new TimeDelta(operator === '/' ? Math.round(this.micros / Number(number)) : Math.floor(this.micros / Number(number)));
  }
}
