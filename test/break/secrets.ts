import { readFileSync, readdirSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import type { Outcome, Stack } from '../e2e/stack.js';

/** Looks at the command lines of this machine, the lab's hosts included, again and again. @returns ends it, with what there was */
export function watchProcesses(): () => string[] {
  const seen = new Set<string>();
  const timer = setInterval(() => {
    for (const id of readdirSync('/proc')) {
      if (!/^\d+$/.test(id)) continue;
      try {
        seen.add(readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {} // it ended
    }
  }, 25);
  return () => {
    clearInterval(timer);
    return [...seen];
  };
}

/** None of these words may stand in a command line, in what runs told, or in a file or log of the hosts. */
export async function unseen(t: ExecutionContext, stack: Stack, words: string[], seen: string[], outcomes: Outcome[], hosts: string[]): Promise<void> {
  const holds = (text: string) => words.filter((word) => text.includes(word));
  t.deepEqual(seen.filter((line) => holds(line).length > 0), []);
  for (const { events, stderr } of outcomes) t.deepEqual(holds(JSON.stringify(events).replaceAll('\\\\', '\\')).concat(holds(JSON.stringify(events)), holds(stderr)), []);
  for (const host of hosts) {
    const grep = `cat <<'END' >/dev/shm/words\n${words.join('\n')}\nEND\n{ grep -rlFf /dev/shm/words /etc /home /root /run /tmp /var/log /var/tmp; journalctl | grep -Ff /dev/shm/words; rm /dev/shm/words; } 2>/dev/null || true`;
    t.is(await stack.on(host, grep), '');
  }
}
