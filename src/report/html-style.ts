/** The look of a report: one column, readable on a phone, light or dark as the reader's system says. */
export const STYLE = `
:root { --paper: #fff; --ink: #1c2128; --dim: #59636e; --line: #d5dbe1; --box: #f5f7f9; --add: #d9f5e0; --add-ink: #0b5524; --del: #ffe3e0; --del-ink: #8a1710;
  --ok: #9fb4a6; --changed: #8f5c00; --failed: #c6261c; --unreachable: #8e2a9b; --skipped: #ccd2d8; --unknown: #2375b8; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #e3e8ed; --dim: #97a2ae; --line: #333b45; --box: #1c2229; --add: #12351f; --add-ink: #9be3b1; --del: #451a18; --del-ink: #ffb3ac;
    --ok: #4d6a58; --changed: #e0a53a; --failed: #ff7a70; --unreachable: #d98be4; --skipped: #3d4650; --unknown: #6db5f2; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header, main { max-width: 76rem; margin: 0 auto; padding: 1.2rem; }
header { border-bottom: 1px solid var(--line); }
h1 { font-size: 1.5rem; line-height: 1.3; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .7rem; }
summary h2 { display: inline; }
p { margin: .3rem 0; }
a { color: inherit; }
.facts, .small, .at, .legend, small { color: var(--dim); font-size: .875rem; }
.facts span { margin-right: 1.2rem; }
.facts b { color: var(--ink); font-weight: 500; }
.tiles { list-style: none; display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0 0; padding: 0; }
.tiles li { background: var(--box); border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .9rem; }
.tiles b { font-size: 1.35rem; margin-right: .2rem; }
.tiles .changed b, td.changed { color: var(--changed); }
.tiles .failed b, td.failed, .error { color: var(--failed); }
.tiles .unreachable b, td.unreachable { color: var(--unreachable); }
.tiles .unknown b, td.unknown { color: var(--unknown); }
.word { display: inline-block; font-size: .8rem; font-weight: 600; border: 1px solid currentColor; border-radius: 1rem; padding: 0 .6rem; color: var(--dim); white-space: nowrap; vertical-align: middle; }
.word.changed { color: var(--changed); } .word.failed, .word.ignored, .word.rescued { color: var(--failed); } .word.unreachable { color: var(--unreachable); } .word.unknown { color: var(--unknown); }
details { border-top: 1px solid var(--line); }
main > section > details:last-child { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: .5rem 0; }
.hosts { color: var(--dim); }
.body { padding: 0 0 .8rem 1rem; }
.item { border-left: 3px solid var(--line); padding-left: .7rem; margin: .4rem 0; }
.error { font-weight: 600; white-space: pre-wrap; }
.field del, .field ins { border-radius: .2rem; padding: 0 .2rem; }
ins { background: var(--add); color: var(--add-ink); text-decoration: none; }
del { background: var(--del); color: var(--del-ink); text-decoration: none; }
pre { margin: .2rem 0; font: .8125rem/1.45 ui-monospace, monospace; white-space: pre-wrap; }
pre.diff { background: var(--box); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem; max-height: 32rem; overflow: auto; white-space: pre; overflow-wrap: normal; }
pre.diff i { color: var(--dim); font-style: normal; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 .8rem; margin: .3rem 0; }
dt { color: var(--dim); } dd { margin: 0; min-width: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th { text-align: left; font-weight: 500; }
thead th { color: var(--dim); font-size: .875rem; font-weight: 400; }
th, td { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); overflow-wrap: normal; }
.numbers td, .numbers thead th:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums; }
.looks td:not(.task) { width: 1.4rem; padding: .15rem .2rem; text-align: center; font-weight: 700; }
.looks td.ok { color: var(--dim); font-weight: 400; }
.looks .task { color: var(--dim); min-width: 12rem; }
.slow { width: 100%; }
.slow td { white-space: nowrap; font-variant-numeric: tabular-nums; }
.slow tbody th { min-width: 9rem; overflow-wrap: anywhere; }
.slow .bar { width: 30%; min-width: 5rem; }
.slow .bar i { display: block; height: .7rem; background: var(--unknown); border-radius: .2rem; min-width: 2px; }
.legend { display: flex; flex-wrap: wrap; }
.legend span { margin-right: 1rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin-right: .35rem; vertical-align: -.05rem; }
.row { display: grid; grid-template-columns: minmax(5rem, 11rem) 1fr; gap: .8rem; align-items: center; font-size: .875rem; }
.row > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.track { position: relative; height: 1.25rem; background: var(--box); border-bottom: 1px solid var(--line); }
.track i { position: absolute; top: .15rem; bottom: .15rem; min-width: 2px; border-radius: .15rem; }
i.ok { background: var(--ok); } i.changed { background: var(--changed); } i.failed, i.ignored, i.rescued { background: var(--failed); }
i.unreachable { background: var(--unreachable); } i.skipped { background: var(--skipped); } i.unknown { background: var(--unknown); }
.axis .track { background: none; border: 0; }
.axis em { position: absolute; transform: translateX(-50%); font-style: normal; color: var(--dim); font-size: .75rem; white-space: nowrap; }
.axis em:first-child { transform: none; } .axis em:last-child { transform: translateX(-100%); }
.remarks { padding: 0; list-style: none; } .remarks li { padding: .2rem 0; }
@media (max-width: 40rem) {
  header, main { padding: .8rem; }
  h1 { font-size: 1.25rem; }
  .body { padding-left: .3rem; }
  .row { grid-template-columns: 4.5rem 1fr; gap: .4rem; }
  .axis em:nth-child(even) { display: none; }
  .slow .bar { display: none; }
  .looks .task { min-width: 8rem; }
}
@media print { details > * { display: block; } pre.diff { max-height: none; } }
`;
