import { endGroup } from '../../src/lab/cgroup.js';

/** Ends all that a host of a lab is, as a power cut does; nothing boots it again by itself. */
export async function powerOff(lab: string, host: string): Promise<void> {
  // What boots it after a reboot goes first.
  for (const group of [`${host}.loop`, host]) await endGroup(`muster-${lab}/${group}`);
}
