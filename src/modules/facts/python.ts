/** The Python of a host, where it has one: modules that are brought along run on it, and playbooks ask for its version. */
import { sh, type Sh } from '../../shell/sh.js';
import type { Gathered } from './gathered.js';

/** Where a host may have its Python: that of the system, whose packages bring what modules import, first. */
const PYTHONS = ['/usr/bin/python3', 'python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3.9', 'python3.8', '/usr/libexec/platform-python'];

/**
 * Sets `muster_python`; to nothing where there is none.
 * @param given `ansible_python_interpreter` of the host
 */
export function findPython(given: unknown): Sh {
  if (typeof given === 'string' && given !== '' && !/^auto/.test(given)) return sh`muster_python=${given}`;
  return sh`muster_python=
for p in ${PYTHONS}; do if command -v "$p" >/dev/null 2>&1; then muster_python=$p; break; fi; done`;
}

/** Prints where the Python is and its version. */
export function askPython(given: unknown): Sh {
  return sh`${findPython(given)}
s python; [ -z "$muster_python" ] || { command -v $muster_python; $muster_python -V; } 2>&1`;
}

const LEVELS: { [letters: string]: string } = { a: 'alpha', b: 'beta', rc: 'candidate' };

/** `/usr/bin/python3`, then `Python 3.13.0rc1`. Nothing where there is no Python. */
export function python(host: Gathered): { python?: object; python_version?: string; discovered_interpreter_python?: string } {
  const [, executable, text, major, minor, micro, letters, number] = /^(\/\S*)\nPython ((\d+)\.(\d+)\.(\d+)(?:(a|b|rc)(\d+))?\S*)/.exec(host.text('python')) ?? [];
  if (text === undefined) return {};
  const version = { major: Number(major), minor: Number(minor), micro: Number(micro), releaselevel: letters === undefined ? 'final' : LEVELS[letters], serial: Number(number ?? 0) };
  return {
    python: { executable, version, version_info: Object.values(version), type: /PyPy/.test(host.text('python')) ? 'pypy' : 'cpython' },
    python_version: text,
    discovered_interpreter_python: executable,
  };
}
