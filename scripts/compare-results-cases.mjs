/**
 * The cases of `compare-results.mjs`. Structure (operation, network, coupling, row split, projection) is gone through in
 * full on each number of threads; the settings beside it are drawn by a fixed seed, so that both trees are given the
 * same. Sizes walk the remainders of vector lanes.
 */
import { runInNewContext } from "node:vm";

let state = 1;
function uniform() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}
const pick = (list) => list[Math.floor(uniform() * list.length)];
const floats = (count, scale) => Float32Array.from({ length: count }, () => scale * (2 * uniform() - 1));
const doubles = (count, scale) => Float64Array.from({ length: count }, () => scale * (2 * uniform() - 1));

const sizeOf = (layers) => layers.slice(1).reduce((sum, width, i) => sum + (layers[i] + 1) * width, 0);

/** Rows of a network. "images": bytes, many of them zero; "twins": floats, some rows equal and one zero. */
function rowsFor(layers, count, kind) {
  const [width, classes] = [layers[0], layers[layers.length - 1]];
  const labels = Uint8Array.from({ length: count }, () => Math.floor(uniform() * classes));
  if (kind !== "floats" && kind !== "twins") {
    const share = kind === "images" ? 0.3 : 1;
    const inputs = Uint8Array.from({ length: count * width }, () =>
      uniform() < share ? Math.floor(256 * uniform()) : 0,
    );
    return { inputs, labels };
  }
  const inputs = floats(count * width, 1.5);
  if (kind === "twins" && count > 2) {
    inputs.copyWithin(width, 0, width);
    inputs.fill(0, 2 * width, 3 * width);
  }
  return { inputs, labels: Uint16Array.from(labels) };
}

/** A case of an operation's input at a network. */
function located(layers, activation, rows) {
  const vector = uniform() < 0.8 ? floats : doubles;
  return {
    network: { layers, activation },
    parameters: vector(sizeOf(layers), 0.6),
    batch: rowsFor(layers, rows, pick(["bytes", "images", "floats", "twins"])),
  };
}

function lossFor(layers) {
  const classes = layers[layers.length - 1];
  const kind = pick(["cross-entropy", "cross-entropy", "zero-one", "cost-matrix"]);
  if (kind !== "cost-matrix") return kind;
  return { kind, costs: Array.from({ length: classes }, () => [...doubles(classes, 1)].map(Math.abs)) };
}

const SEEDS = [1, 77, 2 ** 40 + 3, 0xfedcba9876543210n];
const position = () => ({ seed: pick(SEEDS), update: pick([0, 1, 9, 2 ** 31 + 5]) });

const NETWORKS = [
  [9, 4],
  [11, 7, 3],
  [20, 17, 5],
  [10, 9, 6, 3],
];
const COUPLINGS = [
  { kind: "independent", samples: 13, complement: "sample" },
  { kind: "independent", samples: 12, complement: "marginalize", centred: true },
  { kind: "independent", samples: 9, complement: "marginalize", centred: false },
  { kind: "antithetic", samples: 18 },
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((blocks) => ({ kind: "walsh", blocks })),
];
/** Sizes at which blocks, lists and pieces of inputs come in. */
const WIDE = [
  [[150, 40, 10], 32, { kind: "walsh", blocks: 2 }],
  [[150, 26, 10], 24, { kind: "antithetic", samples: 34 }],
  [[300, 10], 33, { kind: "walsh", blocks: 9 }],
  [[70, 33, 20, 10], 17, { kind: "independent", samples: 20 }],
];

const words = (coupling) =>
  [coupling.kind, coupling.blocks ?? coupling.samples, coupling.complement, coupling.centred && "centred"]
    .filter(Boolean)
    .join(" ");

/** [name, threads, operation, options] of every operation, on each of these numbers of threads. */
export function* operationCases(threadCounts) {
  for (const threads of threadCounts) {
    // Walsh blocks are refused for the deepest network: once is enough.
    for (const layers of NETWORKS) {
      const couplings = layers.length > 3 ? COUPLINGS.slice(0, 5) : COUPLINGS;
      yield* sampling(threads, layers, pick([3, 6, 8]), couplings);
    }
    // More rows than inputs: never projected.
    yield* sampling(threads, [5, 6, 3], 14, COUPLINGS.slice(2, 6));
    for (const layers of NETWORKS) yield* passes(threads, layers);
    for (const layers of NETWORKS) yield* chains(threads, layers, 7);
    for (const [layers, rows, coupling] of WIDE) {
      yield* sampling(threads, layers, rows, [coupling]);
      yield* chains(threads, layers, rows);
    }
    for (const n of [1, 7, 33, 2055]) yield* steps(threads, n);
    yield* normals(threads);
  }
}

function* sampling(threads, layers, rows, couplings) {
  for (const coupling of couplings) {
    for (const rowwise of [undefined, false, true]) {
      for (const projection of ["auto", "off"]) {
        for (const name of ["weights", "importanceSampling", "evolutionStrategies"]) {
          const activation = pick(["relu", "tanh", "step"]);
          const tau = pick([0.01, 0.3]);
          const options = {
            ...located(layers, activation, rows),
            ...position(),
            tau,
            coupling,
            projection,
            loss: lossFor(layers),
            ...(rowwise === undefined ? {} : { rowwise }),
            ...(uniform() < 0.3 ? { noiseScale: tau } : {}),
            ...(name !== "evolutionStrategies" && uniform() < 0.7
              ? { temperature: pick([0.05, 0.7, 3]) }
              : {}),
          };
          const how = `${words(coupling)}, rowwise ${rowwise ?? "default"}, projection ${projection}`;
          yield [`${layers.join("-")} ${activation}, ${rows} rows, ${how}`, threads, name, options];
        }
      }
    }
  }
}

function* passes(threads, layers) {
  for (const activation of ["relu", "tanh", "step"]) {
    for (const rows of [1, 5, 18, 150]) {
      const { network, parameters, batch } = located(layers, activation, rows);
      const name = `${layers.join("-")} ${activation}, ${rows} rows`;
      const base = { network, parameters };
      yield [name, threads, "loss", { ...base, batch, loss: lossFor(layers) }];
      yield [name, threads, "gradient", { ...base, batch }];
      if (activation !== "step")
        yield [name, threads, "hessianProduct", { ...base, batch, vector: parameters }];
      yield [name, threads, "predict", { ...base, inputs: batch.inputs }];
      yield [name, threads, "accuracy", { ...base, data: batch }];
    }
  }
}

function* chains(threads, layers, rows) {
  for (const activation of ["relu", "tanh"]) {
    for (const projection of ["auto", "off"]) {
      for (const fresh of [false, true]) {
        const { batch, ...base } = located(layers, activation, rows);
        const stepSizes = Array.from({ length: 6 }, (_, j) => 0.03 / (j + 2));
        const batches = (count) =>
          fresh
            ? { batches: Array.from({ length: count }, () => rowsFor(layers, rows, "bytes")) }
            : { batch };
        const common = { ...base, ...position(), tau: pick([0.01, 0.2]), projection, stepSizes };
        const name = `${layers.join("-")} ${activation}, ${rows} rows, projection ${projection}, ${fresh ? "fresh batches" : "one batch"}`;
        const own = uniform() < 0.5;
        const start = own ? { start: floats(sizeOf(layers), 0.6), noiseScales: stepSizes } : {};
        yield [`${name}${own ? ", own start" : ""}`, threads, "sgld", { ...common, ...batches(5), ...start }];
        const scale = uniform() < 0.5 ? { noiseScale: common.tau } : {};
        for (const samples of [1, 4]) {
          yield [
            `${name}, M ${samples}`,
            threads,
            "robbinsMonro",
            { ...common, ...batches(6), ...scale, samples },
          ];
        }
      }
    }
  }
}

const STEPPERS = [
  { kind: "gradient-descent" },
  { kind: "momentum" },
  { kind: "momentum", momentum: 0.4 },
  { kind: "adam" },
  { kind: "adam", beta1: 0.7, beta2: 0.9, epsilon: 1e-3, weightDecay: 0.1 },
];

function* steps(threads, n) {
  for (const [i, optimizer] of STEPPERS.entries()) {
    const count = { "gradient-descent": 0, momentum: 1, adam: 2 }[optimizer.kind];
    for (const begun of [false, true]) {
      const state = begun
        ? { state: Array.from({ length: count }, () => floats(n, 1).map(Math.abs)), index: 7 }
        : {};
      const vectors = { parameters: floats(n, 1), gradient: floats(n, 1) };
      const name = `${optimizer.kind} ${i}, n ${n}${begun ? ", begun" : ""}`;
      yield [name, threads, "step", { optimizer, rate: pick([0.01, 1e-3]), ...vectors, ...state }];
    }
  }
}

function* normals(threads) {
  const streams = ["complement", "layer-1", "layer-2", "minibatch-order", 16, 123456];
  for (const stream of streams) {
    for (const count of [0, 1, 7, 66, 4099]) {
      yield [
        `${stream}, ${count}`,
        threads,
        "gaussian",
        { stream, count, ...position(), sample: pick([0, 5, 2 ** 32 - 1]) },
      ];
    }
  }
}

/** Faults of a caller, each with the operation's name and how its options change. */
export function* faultCases() {
  const layers = [6, 5, 3];
  const base = {
    network: layers,
    parameters: floats(sizeOf(layers), 0.5),
    batch: rowsFor(layers, 4, "bytes"),
  };
  const weights = { ...base, tau: 0.01, coupling: { kind: "antithetic", samples: 8 } };
  const faults = [
    ["activation", "loss", { network: { layers, activation: "gelu" } }],
    ["kind of loss", "loss", { loss: "hinge" }],
    ["layers", "loss", { network: [6] }],
    ["length of parameters", "loss", { parameters: new Float32Array(3) }],
    ["labels", "loss", { batch: { ...base.batch, labels: Uint8Array.of(0, 1, 2, 9) } }],
    ["option", "loss", { tua: 1 }],
    ["step has no gradient", "gradient", { network: { layers, activation: "step" } }],
    ["zero-one has no gradient", "gradient", { loss: "zero-one" }],
    [
      "sampled complement by rows",
      "importanceSampling",
      { coupling: { kind: "independent", samples: 4, complement: "sample" }, rowwise: true },
    ],
    ["coupling", "importanceSampling", { coupling: { kind: "sobol", samples: 4 } }],
    ["odd pairs", "importanceSampling", { coupling: { kind: "antithetic", samples: 7 } }],
    ["tau", "weights", { tau: -1 }],
    ["diverged parameters", "loss", { parameters: base.parameters.map(() => 3e38) }],
    ["aborted", "importanceSampling", { signal: AbortSignal.abort(new Error("enough")) }],
    [
      "bytes of another realm",
      "loss",
      { batch: { ...base.batch, inputs: runInNewContext("new Uint8Array(24).fill(90)") } },
    ],
  ];
  for (const [name, operation, change] of faults) {
    yield [
      `fault: ${name}`,
      2,
      operation,
      { ...(operation === "loss" || operation === "gradient" ? base : weights), ...change },
    ];
  }
}

/** Objectives of `train`, small; IS and ES with several couplings. */
const SGLD = { kind: "sgld", steps: 6, stepSize: () => 0.02 };
const ROBBINS_MONRO = { kind: "robbins-monro", samples: 3, steps: 4 };
const entropy = (estimator) => ({ kind: "local-entropy", tau: 0.02, estimator });
const heat = (estimator) => ({ kind: "heat", tau: 0.03, estimator });
const samplers = (make, kind) =>
  [COUPLINGS[0], COUPLINGS[1], COUPLINGS[3], COUPLINGS[5]].flatMap((coupling) => [
    [`${kind} ${words(coupling)}`, make({ kind, coupling })],
    [
      `${kind} ${words(coupling)}, direct`,
      make({
        kind,
        coupling,
        projection: "off",
        noise: "standard-deviation",
        ...(coupling.complement === "sample" ? {} : { rowwise: false }),
      }),
    ],
  ]);
const objectives = (api) => [
  ["sgd", { kind: "loss" }],
  ...samplers(entropy, "importance-sampling"),
  ["importance-sampling temperature", entropy({ kind: "importance-sampling", temperature: 0.3 })],
  ...samplers(heat, "evolution-strategies"),
  ["sgld", entropy({ ...SGLD, stepSize: api.inverseShift(1, 60) })],
  ["sgld center", entropy({ ...SGLD, chainStart: "center", projection: "off" })],
  ["sgld fresh", entropy({ ...SGLD, minibatch: "per-step", noise: "standard-deviation" })],
  ["robbins-monro", heat({ ...ROBBINS_MONRO, stepSize: api.power(0.1, 0.7) })],
  [
    "robbins-monro direct",
    heat({ ...ROBBINS_MONRO, stepSize: 0.05, projection: "off", noise: "standard-deviation" }),
  ],
  ["robbins-monro fresh", heat({ ...ROBBINS_MONRO, stepSize: 0.05, minibatch: "per-step" })],
];
const optimizers = (api) => [
  ["default", undefined],
  ["shift", { kind: "shift" }],
  ["gradient-descent", { kind: "gradient-descent", rate: api.cosine(0.05, 0.01) }],
  ["momentum", { kind: "momentum", rate: 0.02, momentum: 0.8 }],
  ["adam", { kind: "adam", rate: api.reversed(api.cosine(0.001, 0.01)), weightDecay: 0.05 }],
];

function dataFor(layers) {
  const dataset = (count, kind) => {
    const sizes = { count, width: layers[0], classes: layers[layers.length - 1] };
    return { ...rowsFor(layers, count, kind), ...sizes };
  };
  const kind = pick(["bytes", "images", "floats"]);
  return { train: dataset(41, kind), test: dataset(30, kind), validation: dataset(17, kind) };
}

/** [name, options] of runs: every estimator × optimizer. */
export function* runCases(api, threadCounts) {
  let i = 0;
  for (const [objectiveName, objective] of objectives(api)) {
    for (const [optimizerName, optimizer] of optimizers(api)) {
      const sampler = /importance|evolution/.test(objectiveName);
      const averaging = i % 4 === 3;
      const layers = pick([
        ...NETWORKS.slice(0, 3),
        NETWORKS[/walsh|temperature/.test(objectiveName) ? 1 : 3],
      ]);
      const options = {
        network: { layers, activation: pick(sampler ? ["relu", "tanh", "step"] : ["relu", "tanh"]) },
        data: dataFor(layers),
        objective,
        ...(optimizer ? { optimizer } : {}),
        ...(sampler && uniform() < 0.4 ? { loss: lossFor(layers) } : {}),
        batchSize: pick([4, 7, 12]),
        updates: averaging ? 110 : 13,
        recordEvery: averaging ? 60 : 7,
        evaluateEvery: averaging ? 55 : 5,
        averaging,
        seed: pick(SEEDS),
        threads: threadCounts[i % threadCounts.length],
      };
      yield [`train ${objectiveName}, ${optimizerName}${averaging ? ", averaging" : ""}`, options];
      i++;
    }
  }
  for (const name of ["sgd", "importanceSampling", "sgld", "robbinsMonro"]) {
    const options = { network: [12, 8, 3], data: dataFor([12, 8, 3]), ...api.paper[name](), updates: 3 };
    yield [`paper ${name}`, { ...options, recordEvery: 2, threads: 2 }];
  }
}

export function* minimizeCases(api) {
  const dimension = 5;
  const value = (x) => x.reduce((sum, xi, i) => sum + (1 + i) * xi * xi + Math.cos(3 * xi), 0);
  const gradient = (x) => x.map((xi, i) => 2 * (1 + i) * xi - 3 * Math.sin(3 * xi));
  for (const [objectiveName, { estimator, ...objective }] of objectives(api)) {
    if (/direct|fresh|evolution/.test(objectiveName) || estimator?.coupling?.kind === "walsh") continue;
    const { projection: _, ...rest } = estimator ?? {};
    const given = estimator === undefined ? objective : { ...objective, estimator: rest };
    for (const [optimizerName, optimizer] of optimizers(api)) {
      const common = { loss: { dimension, value, gradient }, start: [1, -2, 0.5, 3, 0.1], objective: given };
      yield [
        `minimize ${objectiveName}, ${optimizerName}`,
        { ...common, updates: 11, recordEvery: 4, ...(optimizer ? { optimizer } : {}) },
      ];
    }
  }
}

/** What needs no backend, by name. */
export function plainFacts(api, nowhere) {
  const values = (schedule) => Array.from({ length: 9 }, (_, i) => schedule(i + 1, 9, 1));
  return {
    exports: () => Object.keys(api).sort().join(" "),
    noiseLayout: () => NETWORKS.map((layers) => api.noiseLayout({ layers, activation: "relu" })),
    "noiseLayout of widths": () => api.noiseLayout([6, 5, 3]),
    parameterCount: () => NETWORKS.map((layers) => api.parameterCount({ layers, activation: "relu" })),
    "parameterCount of widths": () => api.parameterCount([6, 5, 3]),
    philox: () => api.philox4x32([1, 2, 3, 4], [5, 6]),
    schedules: () =>
      [
        api.annealed(0.1, 0.2),
        api.constant(3),
        api.cosine(1, 0.1),
        api.inverseShift(1, 9),
        api.power(2, 0.7),
        api.reversed(api.power(2, 0.7)),
      ].map(values),
    paper: () => JSON.stringify(Object.entries(api.paper).map(([key, make]) => [key, make()])),
    subset: () => api.subset(dataFor([6, 3]).train, { from: 3, to: 9 }),
    "load of nothing": () => api.load(nowhere),
  };
}
