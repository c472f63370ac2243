import { readFileSync } from 'node:fs';
import ssh2 from 'ssh2';

/**
 * The floor: nothing but ssh2. Opens a connection to each host, gives one script to its `sh -s`, and reads the answer;
 * so many at once. Run as a program with a file of {@link Errand} as its argument.
 */
export interface Errand {
  hosts: { host: string; port: number }[];
  user: string;
  key: string;
  script: string;
  /** The command that reads the script. */
  shell: string;
  atOnce: number;
}

const { hosts, user, key, script, shell, atOnce } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Errand;
const privateKey = readFileSync(key);

function ask(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client.on('error', reject);
    client.on('ready', () =>
      client.exec(shell, (error, channel) => {
        if (error) return reject(error);
        let answer = '';
        channel.on('data', (chunk: Buffer) => (answer += chunk.toString()));
        channel.stderr.resume();
        channel.on('close', (code: number | null) => {
          client.end();
          if (code === 0 && answer.endsWith('done\n')) resolve();
          else reject(new Error(`${host}: status ${code}: ${answer.slice(-500)}`));
        });
        channel.end(script);
      }),
    );
    client.connect({ host, port, username: user, privateKey, readyTimeout: 60_000, algorithms: { compress: ['none'] } });
  });
}

const queue = hosts.values();
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (const { host, port } of queue) await ask(host, port);
  }),
);
