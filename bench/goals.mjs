/**
 * What must hold, as ratios within one run, and what was measured: this package's best row over the best rival's.
 *
 * Against other packages the best instruction set on two threads counts; a direct rival is one that draws all the
 * noise, whoever wrote it; a missed goal says by how much. `node bench/goals.mjs FILE.json` prints the table of
 * docs/performance.md from a run's results.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What tables call the estimators of the sweeps. */
export const KINDS = {
  "importance-sampling": "importance sampling",
  sgld: "SGLD",
  "robbins-monro": "Robbins–Monro",
};

const PEER = /^(PyTorch|JAX|tfjs)/;
const isDirect = ({ name }) => PEER.test(name) && !name.includes("projected");

/** [operation, stem, title begins, row begins, goals by HOW's names; AVX2's is everywhere the same] */
const GOALS = [
  [
    "importance sampling, independent",
    "importance-sampling",
    "importance sampling",
    "independent, projected;",
    { direct: 120, projected: 15, threads: 1.9, wasmThreads: 1.8, tfjs: 100 },
  ],
  [
    "importance sampling, Walsh + row split",
    "walsh",
    "importance sampling",
    "row split, K = 2;",
    { direct: 2500, projected: 350, threads: 1.4, wasm: 0.25, sgdStep: 1 },
  ],
  ["SGLD, 1,000 steps", "sgld", "SGLD", "projected;", { direct: 100, threads: 1.3, wasm: 0.33 }],
  ["Robbins–Monro, 30 × 30", "robbins-monro", "Robbins–Monro", "projected;", { direct: 150, threads: 1.8 }],
  ["SGD step", "sgd", "SGD", "", { direct: 2, threads: 1.4, wasm: 0.33, tfjs: 4 }],
  ["normals", "gaussian", "gaussian", "", { direct: 5, threads: 1.9, wasm: 0.5 }],
  [
    "our direct importance sampling",
    "importance-sampling",
    "importance sampling",
    "independent, direct;",
    { direct: 6, threads: 1.8 },
  ],
  ["our direct SGLD", "sgld", "SGLD", "direct;", { direct: 6, threads: 1.8 }],
];

const HOW = {
  direct: "against the best other package, direct",
  projected: "against our projection in JAX",
  strongest: "against our projection in the best other package",
  threads: "two threads against one",
  avx2: "AVX2 against AVX-512, speed",
  wasm: "WASM against AVX2, one thread each, speed",
  wasmThreads: "WASM, two threads against one",
  sgdStep: "an update against a step of SGD in tfjs-node",
  tfjs: "WASM against TensorFlow.js's WASM backend",
};

const NEIGHBOUR =
  "reached on a quiet machine (docs/performance.md): see the quartiles for whether another program had a core";

/** Why a goal is missed on the machines that we measured on (Zen 4, two cores): operation → how → reason. */
const WHY = {
  "importance sampling, independent": {
    threads: NEIGHBOUR,
    wasmThreads: NEIGHBOUR,
    projected: "1.8 times above its floor: 43 % are normals, the rest products of 20 rows and sums",
  },
  "SGLD, 1,000 steps": {
    direct: "a chain's steps follow each other: the second thread makes its noise, a third of the work",
  },
  "Robbins–Monro, 30 × 30": {
    direct: "150 × would be 1.3 times its floor, half of which normals are",
    threads: NEIGHBOUR,
  },
  "SGD step": { threads: NEIGHBOUR },
  normals: {
    direct:
      "more than half goes into fresh pages for the array that JavaScript gets; rivals write into one they have",
    threads: "fresh pages for the array that JavaScript gets are the same work for any number of threads",
  },
};

const best = (rows) => rows.reduce((a, b) => (b.median < a.median ? b : a));

/** The rivals' rows that a goal compares with: another stem's where this one times none. */
function rivals(results, stem, title, how) {
  const matches = how === "direct" ? isDirect : ({ name }) => name === "JAX projected";
  const fitting = how === "strongest" ? ({ name }) => PEER.test(name) && name.includes("projected") : matches;
  const own = results.find((result) => result.stem === stem && result.title.startsWith(title));
  const rows = own?.rows.filter(fitting) ?? [];
  if (rows.length > 0 || stem !== "walsh") return rows;
  // A thousand samples where Walsh blocks make 1,024.
  const other = results.find(
    (result) => result.stem === "importance-sampling" && result.title.startsWith(title),
  );
  return other?.rows.filter(fitting) ?? [];
}

function row(operation, how, goal, ours, theirs, extra) {
  const measured = theirs.median / ours.median;
  const missedBy = goal === null || measured >= goal ? null : goal / measured;
  const why = missedBy === null ? undefined : WHY[operation]?.[how];
  return { operation, how: HOW[how], goal, measured, missedBy, why, ...extra };
}

/**
 * One row a goal: { operation, how, goal, measured, rival, missedBy (a factor, or null), why (it is missed, where we
 * know), processor (the least processor time of a rival over ours on one thread) }.
 */
export function goals({ results, sweep }) {
  const found = [];
  const sgdStep = results
    .find(({ stem }) => stem === "sgd")
    ?.rows.find(({ name }) => name.startsWith("tfjs-node"));
  for (const [operation, stem, title, begins, wanted] of GOALS) {
    const result = results.find((each) => each.stem === stem && each.title.startsWith(title));
    const ours = result?.rows.filter(({ name }) => !PEER.test(name) && name.startsWith(begins)) ?? [];
    const [two] = ours;
    if (!two) continue;
    const named = (text) => ours.find(({ name }) => name.includes(text));
    const one = ours.find(({ name }) => name.endsWith("1 thread"));
    const avx2 = two.name.includes("avx512") ? named("avx2, 2 threads") : undefined;
    const [wasm, wasm1] = [named("wasm, 2 threads"), named("wasm, 1 thread")];
    /** Our own rows beside each other, or one beside the same backend of another package. */
    const pairs = {
      threads: [two, one],
      avx2: [avx2, two],
      wasm: [wasm1, named("avx2, 1 thread")],
      wasmThreads: [wasm, wasm1],
      sgdStep: [two, sgdStep],
      tfjs: [wasm, result.rows.find(({ name }) => name === "tfjs wasm")],
    };
    const all = { ...wanted, ...(wanted.projected && { strongest: null }), avx2: 0.5 };
    for (const [how, goal] of Object.entries(all)) {
      if (how in pairs) {
        const [mine, other] = pairs[how];
        if (mine && other) found.push(row(operation, how, goal, mine, other));
        continue;
      }
      const rows = rivals(results, stem, title, how);
      if (rows.length === 0) continue;
      const rival = best(rows);
      const processor = one && Math.min(...rows.map((each) => each.processor)) / one.processor;
      found.push(row(operation, how, goal, two, rival, { rival: rival.name, processor }));
    }
  }
  for (const kind of new Set(sweep?.points.map((point) => point.kind))) {
    const least = sweep.points
      .filter((point) => point.kind === kind)
      .map((point) => ({ ...point, gain: point.direct / point.projected }))
      .reduce((a, b) => (b.gain < a.gain ? b : a));
    const where = `B = ${least.B}, width ${least.width}, J = ${least.J}`;
    const how = `direct over projected, least of ${sweep.points.length / 3} sizes`;
    const missedBy = least.gain >= 1 ? null : 1 / least.gain;
    found.push({ operation: KINDS[kind], how, goal: 1, measured: least.gain, rival: where, missedBy });
  }
  return found;
}

export function printGoals(rows) {
  console.log("\nGoals: operation, how, goal, measured");
  for (const { operation, how, goal, measured, rival, missedBy, why, processor } of rows) {
    const verdict = goal === null ? "no goal" : missedBy ? `missed by ${missedBy.toFixed(2)} ×` : "holds";
    const cells = [operation.padEnd(40), how.padEnd(48), String(goal ?? "–").padStart(5)];
    const notes = [rival, processor && `${processor.toPrecision(3)} by processor time`, why].filter(Boolean);
    const brackets = notes.length > 0 ? ` (${notes.join(", ")})` : "";
    console.log(`  ${cells.join(" ")} ${measured.toPrecision(3).padStart(7)}  ${verdict}${brackets}`);
  }
}

/** The rows as Markdown. */
function markdown(rows) {
  const head = [
    "| | ratio | goal | measured | by processor time | |",
    "| --- | --- | --- | --- | --- | --- |",
  ];
  const body = rows.map(({ operation, how, goal, measured, rival, missedBy, processor }) => {
    const verdict = goal === null ? "" : missedBy ? `missed by ${missedBy.toFixed(2)} ×` : "holds";
    const times = (value) => (value ? `${Number(value.toPrecision(3))} ×` : "");
    const cells = [operation, rival ? `${how} (${rival})` : how, goal ? `≥ ${goal} ×` : "–"];
    return `| ${[...cells, times(measured), times(processor), verdict].join(" | ")} |`;
  });
  return [...head, ...body].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(markdown(goals(JSON.parse(readFileSync(process.argv[2], "utf8")))));
}
