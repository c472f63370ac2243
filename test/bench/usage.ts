import { writeFileSync } from 'node:fs';

/** Loaded before a program that is measured: leaves what it took in the file that BENCH_USAGE names. */
process.on('exit', () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  writeFileSync(process.env['BENCH_USAGE']!, JSON.stringify({ cpu: (userCPUTime + systemCPUTime) / 1e6, rss: maxRSS * 1024 }));
});
