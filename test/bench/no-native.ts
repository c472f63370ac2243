import Module from 'node:module';

/** Loaded before a program that is measured: ssh2's native build is not found, as where no compiler was at hand when it was installed. */
const own = Module as unknown as { _load(request: string, ...rest: unknown[]): unknown };
const load = own._load;
own._load = (request, ...rest) => {
  if (request.endsWith('sshcrypto.node')) throw new Error('left out');
  return load(request, ...rest);
};
