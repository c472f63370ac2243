import type { Output } from '../../modules/module.js';
import { returned } from '../../modules/running.js';
import { erasing, looking, stateOf } from '../async.js';
import { isCheck, scopeFor, type Call } from '../call.js';
import { asyncFolder, wayOf } from '../job.js';
import { aside } from '../machine.js';
import { failed, outcome, type Outcome } from '../outcome.js';
import { inspectionOf, ofJob } from '../perform.js';
import { parsedArguments } from './say.js';

const NOTHING_YET = { stdout: '', stderr: '', stdout_lines: [], stderr_lines: [], changed: false };

/** How a job stands. What comes behind it is looked at anew: the job has been at work meanwhile. */
export async function asyncStatus(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  const id = String(args.jid);
  const { machine, way } = wayOf(call);
  const folder = asyncFolder(way, scopeFor(call));
  const known = call.run.jobs.get(id);
  const about = { ansible_job_id: id, started: true };
  machine.forget();
  const there = /^\w[\w.]*$/.test(id) ? stateOf(await machine.ask(way, inspectionOf(way, looking(folder, id)), async () => [])) : undefined;
  if (args.mode === 'cleanup') {
    if (there && !isCheck(call)) await aside(way, { script: erasing(folder, id) });
    if (known?.begun === false) call.run.jobs.delete(id);
    if (there || known?.begun === false) return outcome({ ...about, ...NOTHING_YET, started: false, finished: false, erased: there?.path ?? '' });
  }
  // A job that had nothing to do was never begun, and is known all the same.
  if (!there && known?.begun === false) return ofJob({ finished: true, output: { rc: 0, stdout: '', stderr: '' } }, known.judge, about);
  if (!there) return failed('could not find job', { remedy: 'the job is looked for as the user who started it', fields: { ...about, finished: true } });
  const { path, state } = there;
  if (!state.finished) return outcome({ ...about, ...NOTHING_YET, finished: false, results_file: path });
  return ofJob(state, known?.judge ?? unjudged, { ...about, results_file: path });
}

/** What is told of a job that another run has started, of whose module nothing else is known. */
function unjudged(output: Output): Outcome {
  const { cmd: _, ...told } = returned({ ...output, stdout: output.stdout.replace(/^\x1e(?!muster-(?:time|chdir)).*\n/gm, '') }, '');
  return output.rc === 0 ? outcome({ ...told, changed: true }) : failed('non-zero return code', { ...output, fields: { ...told, changed: true } });
}
