import { Question } from '../shell/question.js';
import type { Output } from '../shell/step.js';
import { sameUser } from './become.js';
import type { Inspection } from './connection.js';
import { REFUSED } from './decode.js';

/** Inspections as a trip carries them: several of one kind as one. */
interface Together {
  carried: Inspection[];
  /** One for each of the inspections that were put together; undefined for those that must be asked by themselves. */
  apart(outputs: readonly Output[]): (Output | undefined)[];
}

/**
 * Puts questions of one kind together that the same user asks in the same environment. Inspections only read, so their
 * order means nothing. Where the common text fails, nobody knows whose fault it is: each is then asked alone. Where nobody
 * could become their user, none is asked again.
 */
export function together(inspections: readonly Inspection[]): Together {
  const groups: { inspection: Inspection; environment: string; members: number[] }[] = [];
  inspections.forEach((inspection, index) => {
    const { script, become } = inspection;
    const environment = JSON.stringify(inspection.environment);
    const group =
      script instanceof Question
        ? groups.find((other) => other.inspection.script instanceof Question && other.inspection.script.kind.name === script.kind.name && sameUser(other.inspection.become, become) && other.environment === environment)
        : undefined;
    if (group) group.members.push(index);
    else groups.push({ inspection, environment, members: [index] });
  });
  const asked = (members: readonly number[]) => members.map((index) => (inspections[index]!.script as Question).asked);
  return {
    carried: groups.map(({ inspection, members }) =>
      members.length === 1 ? inspection : { ...inspection, script: (inspection.script as Question).kind.text(asked(members)) },
    ),
    apart(outputs) {
      const all = new Array<Output | undefined>(inspections.length);
      groups.forEach(({ inspection, members }, i) => {
        const output = outputs[i]!;
        if (members.length === 1 || output.rc === REFUSED) members.forEach((index) => (all[index] = output));
        else if (output.rc === 0) {
          const texts = (inspection.script as Question).kind.apart(output.stdout, asked(members));
          texts?.forEach((stdout, at) => (all[members[at]!] = { ...output, stdout }));
        }
      });
      return all;
    },
  };
}
