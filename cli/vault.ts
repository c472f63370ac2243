import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Argv, CommandModule } from 'yargs';
import { splitWords } from '../src/modules/words.js';
import { DEFAULT_ID, edit as editPrivately, encrypt as encryptText, isEncrypted, keyring, parseEnvelope, replaceFile, type Identity } from '../src/vault/index.js';
import { UsageError } from './exit.js';
import { texts, vaultOptions, type VaultFlags } from './options.js';
import { askPassword, flagged, identitiesOf, identityOf } from './passwords.js';
import { askText } from './prompt.js';
import { loadSettings } from './settings.js';

type Flags = VaultFlags & {
  file: string[];
  encryptVaultId?: string;
  output?: string;
  newVaultId?: string;
  newVaultPasswordFile?: string;
  text: string[];
  name: string[];
  stdinName?: string;
  prompt?: boolean;
  showInput?: boolean;
};

const files = (argv: Argv): Argv => argv.positional('file', { type: 'string', array: true, describe: 'files; without any, or for "-", standard input and output' }) as Argv;
const someFiles = (argv: Argv): Argv => argv.positional('file', { type: 'string', array: true, describe: 'encrypted files' }) as Argv;
const encryptId = { 'encrypt-vault-id': { type: 'string', requiresArg: true, describe: 'the vault id to encrypt with, where several are known' } } as const;
const output = { output: { type: 'string', requiresArg: true, describe: 'write here instead; "-" is standard output' } } as const;

/** `muster vault create|edit|view|encrypt|decrypt|rekey|encrypt-string`, as ansible-vault has them. */
const vault: CommandModule<object, Flags> = {
  builder: (argv) =>
    argv
      .options(vaultOptions)
      .command('create <file>', 'make a new encrypted file in your editor', (y) => y.positional('file', { type: 'string', describe: 'its name' }).options(encryptId), create as never)
      .command('edit <file..>', 'edit encrypted files in your editor', (y) => someFiles(y).options(encryptId), edit as never)
      .command('view <file..>', 'show what encrypted files hold', someFiles as never, view as never)
      .command('encrypt [file..]', 'encrypt files', (y) => files(y).options({ ...encryptId, ...output }), encrypt as never)
      .command('decrypt [file..]', 'decrypt files', (y) => files(y).options(output), decrypt as never)
      .command(
        'rekey <file..>',
        'encrypt files with another password',
        (y) =>
          someFiles(y).options({
            ...encryptId,
            'new-vault-id': { type: 'string', requiresArg: true, describe: 'the new vault id and where its password comes from: ID@FILE, ID@prompt' },
            'new-vault-password-file': { type: 'string', requiresArg: true, conflicts: 'new-vault-id', describe: 'file or script with the new password' },
          }),
        rekey as never,
      )
      .command(
        ['encrypt-string [text..]', 'encrypt_string'],
        'encrypt texts for a file of variables',
        (y) =>
          y.positional('text', { type: 'string', array: true, describe: 'what to encrypt, seen by all who list processes; without any, or for "-", standard input' }).options({
            ...encryptId,
            ...output,
            name: texts('the variable to hold it; repeatable, one for each text', { alias: 'n' }),
            'stdin-name': { type: 'string', requiresArg: true, describe: 'the variable to hold what standard input gives' },
            prompt: { type: 'boolean', alias: 'p', describe: 'ask for the text' },
            'show-input': { type: 'boolean', describe: 'show it while it is typed' },
          }),
        encryptString as never,
      )
      .demandCommand(1, 'say what to do: create, edit, view, encrypt, decrypt, rekey or encrypt-string') as never,
  handler: () => {},
};
export default vault;

/** Passwords to read with; where none are named somebody is asked. */
async function readable(flags: Flags): Promise<readonly Identity[]> {
  const named = await identitiesOf(flags, loadSettings(undefined, process.env));
  const identities = named.length > 0 ? named : [await identityOf({ id: DEFAULT_ID, from: 'prompt' }, false)];
  keyring.use(identities);
  return identities;
}

/** The password to encrypt with. @throws UsageError where it is not plain which */
async function writable(flags: Omit<Flags, 'file'>): Promise<Identity> {
  const wanted = flags.encryptVaultId;
  const named = await identitiesOf(flags, loadSettings(undefined, process.env), true);
  if (named.length === 0) return identityOf({ id: wanted ?? DEFAULT_ID, from: 'prompt' }, true);
  return chosen(named, wanted);
}

function chosen(identities: readonly Identity[], wanted: string | undefined): Identity {
  const ids = [...new Set(identities.map(({ id }) => id))];
  if (wanted === undefined && identities.length > 1) throw new UsageError(`muster vault: with which password? --encrypt-vault-id names one of ${ids.join(', ')}`);
  const found = identities.find(({ id }) => wanted === undefined || id === wanted);
  if (!found) throw new UsageError(`muster vault: there is no password for the vault id "${wanted}"; there is one for ${ids.join(', ')}`);
  return found;
}

async function create({ file, ...flags }: Omit<Flags, 'file'> & { file: string }): Promise<void> {
  if (existsSync(file)) throw new UsageError(`muster vault create: ${file} is there already; muster vault edit changes it`);
  const identity = await writable(flags);
  const plain = await editPrivately(file, Buffer.alloc(0), editor());
  mkdirSync(dirname(file), { recursive: true });
  replaceFile(file, encryptText(plain, identity.password(), identity.id));
}

async function edit(flags: Flags): Promise<void> {
  const identities = await readable(flags);
  for (const file of flags.file) {
    const text = read(file).toString('latin1');
    const { plain, identity } = opened(text, file);
    const changed = await editPrivately(file, plain, editor());
    if (changed.equals(plain)) continue;
    const other = flags.encryptVaultId === undefined ? undefined : chosen(identities, flags.encryptVaultId);
    // The vault id that the file names stays, whichever password opened it.
    replaceFile(file, encryptText(changed, (other ?? identity).password(), other ? other.id : parseEnvelope(text).id));
  }
}

async function view(flags: Flags): Promise<void> {
  await readable(flags);
  for (const file of flags.file) {
    const { plain } = opened(read(file).toString('latin1'), file);
    const pager = process.stdout.isTTY ? commandOf('PAGER', process.env['PAGER'] || 'less') : [];
    const shown = pager.length > 0 && spawnSync(pager[0]!, pager.slice(1), { input: plain, stdio: ['pipe', 'inherit', 'inherit'] });
    if (!shown || shown.error) process.stdout.write(plain);
  }
}

async function encrypt(flags: Flags): Promise<void> {
  const sources = sourcesOf(flags);
  const identity = await writable(flags);
  // All are read and found fit before the first is written.
  const plain: Buffer[] = [];
  for (const file of sources) plain.push(await input(file));
  plain.forEach((bytes, i) => {
    if (isEncrypted(bytes)) throw new UsageError(`muster vault encrypt: ${sources[i]} is encrypted already; muster vault rekey changes its password`);
  });
  sources.forEach((file, i) => write(flags, file, encryptText(plain[i]!, identity.password(), identity.id)));
  done('Encrypted.');
}

async function decrypt(flags: Flags): Promise<void> {
  const sources = sourcesOf(flags);
  await readable(flags);
  const plain: Buffer[] = [];
  for (const file of sources) plain.push(opened((await input(file)).toString('latin1'), file).plain);
  sources.forEach((file, i) => write(flags, file, plain[i]!));
  done('Decrypted.');
}

async function rekey(flags: Flags): Promise<void> {
  const identities = await readable(flags);
  const plain = flags.file.map((file) => opened(read(file).toString('latin1'), file).plain);
  const identity = await replacement(flags, identities);
  flags.file.forEach((file, i) => replaceFile(file, encryptText(plain[i]!, identity.password(), flags.encryptVaultId ?? identity.id)));
  process.stderr.write('Encrypted with the new password.\n');
}

async function replacement(flags: Flags, identities: readonly Identity[]): Promise<Identity> {
  if (flags.newVaultId !== undefined) return identityOf(flagged(flags.newVaultId), true);
  if (flags.newVaultPasswordFile !== undefined) return identityOf(flagged(`${DEFAULT_ID}@${flags.newVaultPasswordFile}`), true);
  if (flags.encryptVaultId !== undefined) return chosen(identities, flags.encryptVaultId);
  return identityOf({ id: DEFAULT_ID, from: 'prompt' }, true);
}

async function encryptString(flags: Flags): Promise<void> {
  const args = flags.text.filter((text) => text !== '-');
  const stdin = flags.text.includes('-') || flags.stdinName !== undefined || (flags.text.length === 0 && !flags.prompt);
  if (flags.prompt && stdin) throw new UsageError('muster vault encrypt-string: --prompt asks on the terminal; standard input cannot be read besides');
  if (flags.name.length > args.length && !flags.prompt) throw new UsageError('muster vault encrypt-string: there are more names than texts; --stdin-name names what standard input gives');
  const identity = await writable(flags);
  const found: { text: string; name: string | undefined }[] = [];
  if (flags.prompt) {
    const name = flags.name[0] ?? ((await askText('Name of the variable (empty: none)')) || undefined);
    found.push({ text: flags.showInput ? await askText('Text to encrypt') : await askPassword('Text to encrypt'), name });
  }
  if (stdin) found.push({ text: (await input('-')).toString(), name: flags.stdinName });
  for (const [i, text] of args.entries()) found.push({ text, name: flags.name[i] });
  if (found.some(({ text }) => text === '')) throw new UsageError('muster vault encrypt-string: there is nothing to encrypt');
  const lines = found.map(({ text, name }) => {
    const digits = encryptText(Buffer.from(text), identity.password(), identity.id).trimEnd().split('\n');
    return [`${name === undefined ? '' : `${name}: `}!vault |`, ...digits.map((line) => `          ${line}`), ''].join('\n');
  });
  write(flags, '-', lines.join(''));
  done('Encrypted.');
}

function editor(): string[] {
  return commandOf('EDITOR', process.env['EDITOR'] || process.env['VISUAL'] || 'vi');
}

function commandOf(variable: string, text: string): string[] {
  try {
    return splitWords(text);
  } catch (error) {
    throw new UsageError(`muster: ${variable}: ${(error as Error).message}`);
  }
}

function sourcesOf(flags: Flags): string[] {
  const sources = (flags.file ?? []).length > 0 ? flags.file : ['-'];
  if (flags.output !== undefined && sources.length > 1) throw new UsageError('muster vault: --output takes one file');
  return sources;
}

async function input(file: string): Promise<Buffer> {
  if (file !== '-') return read(file);
  if (process.stdin.isTTY) process.stderr.write('Reading standard input; Ctrl-D ends it.\n');
  return buffer(process.stdin);
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`muster vault: ${file}: ${code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : (error as Error).message}`);
  }
}

function opened(text: string, file: string): { plain: Buffer; identity: Identity } {
  if (!isEncrypted(text)) throw new UsageError(`muster vault: ${file === '-' ? 'standard input' : file} is not encrypted`);
  return keyring.open(text, file === '-' ? 'standard input' : file, undefined);
}

function write(flags: Flags, file: string, content: Buffer | string): void {
  const target = flags.output ?? file;
  if (target === '-') process.stdout.write(content);
  else replaceFile(target, content);
}

function done(message: string): void {
  if (process.stdout.isTTY) process.stderr.write(`${message}\n`);
}
