import test from 'ava';
import { encoderOf } from '../../src/modules/encode.js';

test('text in other character sets', (t) => {
  const hex = (text: string, name: string) => encoderOf(name)!(text).toString('hex');
  t.is(hex('é', ''), 'c3a9');
  t.is(hex('é', 'UTF8'), 'c3a9');
  t.is(hex('é', 'utf-8-sig'), 'efbbbfc3a9');
  t.is(hex('é', 'utf-16'), 'fffee900');
  t.is(hex('é', 'utf_16_be'), '00e9');
  t.is(hex('é', 'latin1'), 'e9');
  t.is(hex('€', 'windows-1252'), '80');
  t.is(hex('€Ÿ’', 'cp1252'), '809f92');
  t.is(hex('€', 'iso8859_15'), 'a4');
  t.is(hex('я', 'koi8-r'), 'd1');
  for (const name of ['klingon', 'shift_jis', 'gbk', 'euc-kr']) t.is(encoderOf(name), undefined, name);
  for (const [text, name] of [['€', 'latin1'], ['é', 'ascii'], ['я', 'cp1252'], ['😀', 'latin1']] as const) t.throws(() => encoderOf(name)!(text), { message: `the character "${text}" is not in ${name}` });
});
