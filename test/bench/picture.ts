export interface Point {
  x: number;
  y: number;
}

/** A line of the picture: one contestant. */
export interface Line {
  name: string;
  points: readonly Point[];
}

const [WIDTH, HEIGHT] = [640, 400];
const EDGE = { left: 70, right: 110, top: 24, bottom: 50 };

/**
 * Draws lines over two logarithmic axes, where a cost that grows as its cause does is a straight line of slope one; a thin
 * line shows that slope. An SVG by itself, readable on light and dark.
 * @param x title of the axis, y likewise
 */
export function picture(x: string, y: string, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points);
  const xs = decades(all.map((point) => point.x));
  const ys = decades(all.map((point) => point.y));
  const at = (value: number, [low, high]: Range, from: number, to: number) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  const right = WIDTH - EDGE.right;
  const bottom = HEIGHT - EDGE.bottom;
  const px = (value: number) => at(value, xs, EDGE.left, right).toFixed(1);
  const py = (value: number) => at(value, ys, bottom, EDGE.top).toFixed(1);
  const path = (points: readonly Point[]) => points.map((point, i) => `${i === 0 ? 'M' : 'L'}${px(point.x)} ${py(point.y)}`).join(' ');
  const first = lines[0]!.points[0]!;
  const steps = Math.min(xs[1] - Math.log10(first.x), ys[1] - Math.log10(first.y));
  const slope = [first, { x: first.x * 10 ** steps, y: first.y * 10 ** steps }];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">
<style>
  :root { --ink: #222; --faint: #ccc; --line0: #8a8a8a; --line1: #1668b8; --back: #fff }
  @media (prefers-color-scheme: dark) { :root { --ink: #ddd; --faint: #444; --line0: #9a9a9a; --line1: #66b2ff; --back: #161616 } }
  text { fill: var(--ink) }
</style>
<rect width="100%" height="100%" fill="var(--back)"/>
${ticks(xs).map((value) => `<path d="M${px(value)} ${EDGE.top}V${bottom}" stroke="var(--faint)"/><text x="${px(value)}" y="${bottom + 18}" text-anchor="middle">${value}</text>`).join('\n')}
${ticks(ys).map((value) => `<path d="M${EDGE.left} ${py(value)}H${right}" stroke="var(--faint)"/><text x="${EDGE.left - 8}" y="${Number(py(value)) + 4}" text-anchor="end">${value}</text>`).join('\n')}
<text x="${(EDGE.left + right) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${x}</text>
<text transform="translate(18 ${(EDGE.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${y}</text>
<path d="${path(slope)}" stroke="var(--faint)" stroke-dasharray="4 4" fill="none"/>
${lines
  .map(({ name, points }, i) => {
    const colour = `var(--line${i})`;
    const last = points.at(-1)!;
    // Names stand apart where lines end beside each other.
    return `<path d="${path(points)}" stroke="${colour}" stroke-width="2.5" fill="none"/>
${points.map((point) => `<circle cx="${px(point.x)}" cy="${py(point.y)}" r="4" fill="${colour}"/>`).join('')}
<text x="${Number(px(last.x)) + 10}" y="${Number(py(last.y)) + (i === 0 ? 14 : -4)}">${name}</text>`;
  })
  .join('\n')}
</svg>
`;
}

/** Powers of ten around all values. */
type Range = readonly [low: number, high: number];

function decades(values: readonly number[]): Range {
  return [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
}

const ticks = ([low, high]: Range): number[] => Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
