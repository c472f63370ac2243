import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { run } from '../../src/lab/run.js';

/** A real Chromium without a window, spoken to over its DevTools protocol on a pipe. Installed by apt where it is missing. */
export class Browser {
  #last = 0;
  readonly #waiting = new Map<number, { resolve: (result: any) => void; reject: (error: Error) => void }>();
  readonly #heard = new Map<string, () => void>();
  #session: string | undefined;

  private constructor(
    private readonly child: ChildProcess,
    private readonly profile: string,
  ) {
    let rest = '';
    (child.stdio[4] as Readable).setEncoding('utf8').on('data', (piece: string) => {
      const messages = (rest + piece).split('\0');
      rest = messages.pop()!;
      for (const text of messages) this.#take(JSON.parse(text));
    });
    child.on('close', () => this.#waiting.forEach(({ reject }) => reject(new Error('the browser has ended'))));
  }

  static async open(): Promise<Browser> {
    const found = await run('sh', ['-c', 'command -v chromium || true']);
    if (found.trim() === '') {
      const env = { DEBIAN_FRONTEND: 'noninteractive' };
      await run('apt-get', ['update', '-q'], { env });
      await run('apt-get', ['install', '-yq', '--no-install-recommends', 'chromium'], { env });
    }
    const profile = await mkdtemp(join(tmpdir(), 'muster-browser-'));
    const child = spawn('chromium', ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--remote-debugging-pipe', `--user-data-dir=${profile}`], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true });
    const browser = new Browser(child, profile);
    const { targetId } = await browser.#ask('Target.createTarget', { url: 'about:blank' });
    browser.#session = (await browser.#ask('Target.attachToTarget', { targetId, flatten: true })).sessionId;
    await browser.#ask('Page.enable');
    return browser;
  }

  /** @param of width in CSS pixels, and what the reader's system prefers */
  async show(url: string, of: { width: number; scheme: 'light' | 'dark' }): Promise<void> {
    await this.#ask('Emulation.setDeviceMetricsOverride', { width: of.width, height: 900, deviceScaleFactor: 1, mobile: of.width < 600 });
    await this.#ask('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: of.scheme }] });
    const loaded = new Promise<void>((resolve) => this.#heard.set('Page.loadEventFired', resolve));
    await this.#ask('Page.navigate', { url });
    await loaded;
  }

  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#ask('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return result.value as T;
  }

  /** The whole page as PNG. */
  async screenshot(file: string): Promise<void> {
    const { data } = await this.#ask('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    await writeFile(file, Buffer.from(data, 'base64'));
  }

  async close(): Promise<void> {
    const closed = once(this.child, 'close');
    process.kill(-this.child.pid!, 'SIGKILL');
    await closed;
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #ask(method: string, params: object = {}): Promise<any> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      (this.child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId: this.#session })}\0`);
    });
  }

  #take({ id, result, error, method }: { id?: number; result?: object; error?: { message: string }; method?: string }): void {
    if (id === undefined) return this.#heard.get(method!)?.();
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result);
  }
}
