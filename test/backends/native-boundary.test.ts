/**
 * The addon's own door, below TypeScript's checks: whatever memory depends on is refused there with a code, and so is
 * every call that comes too late or with something else's handle. Random calls of the kind are in
 * `reliability/boundary.mjs`.
 */
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { Addon, Done, Queue } from "../../src/backends/addon/addon.ts";
import { loadAddon } from "../../src/backends/addon/load.ts";
import { KINDS, type ScalarName } from "../../src/backends/description.ts";
import { type JobArrays, SCALAR_NAMES, type Scalars } from "../../src/backends/job.ts";
import { delay, describeNative } from "../support/jobs.ts";

const ROWS = 6;
const LAYERS = [4, 3, 2];
const N = 23;

interface Fields {
  readonly scalars?: Scalars;
  /** Those that are null are left out. */
  readonly arrays?: Partial<Record<keyof JobArrays, unknown>>;
}

const BASE: Scalars = {
  ...{ depth: 2, exampleCount: ROWS, batchSize: 2, batches: 1, count: 2, iterates: 3, samples: 4, blocks: 1 },
  temperature: 1,
};

function arraysOf(updates: number) {
  return {
    layers: Uint32Array.from(LAYERS),
    costs: new Float32Array(4),
    inputs: new Uint8Array(ROWS * LAYERS[0]).fill(9),
    labels: Uint16Array.from({ length: ROWS }, (_, i) => i % 2),
    rows: Uint32Array.of(0, 5, 1, 2),
    stepSizes: new Float64Array(3).fill(0.01),
    noiseScales: new Float64Array(3).fill(0.1),
    ...{ tau: new Float64Array(updates).fill(0.1), noiseScale: new Float64Array(updates).fill(0.3) },
    ...{ rate: new Float64Array(updates), parameters: new Float32Array(N), gradient: new Float32Array(N) },
    ...{ moment1: new Float32Array(N), moment2: new Float32Array(N), chain: new Float32Array(N) },
    output: new Float32Array(3),
  };
}

function flat(operation: (typeof KINDS.operation)[number], { scalars, arrays }: Fields = {}) {
  const numbers = { ...BASE, ...scalars, operation: KINDS.operation.indexOf(operation) };
  const given = Object.entries({ ...arraysOf(operation === "run" ? 2 : 1), ...arrays });
  return {
    scalars: Float64Array.from(SCALAR_NAMES, (name: ScalarName) => numbers[name] ?? 0),
    arrays: Object.fromEntries(given.filter(([, array]) => array !== null)) as JobArrays,
    outputs: {},
  };
}

/** The code of what a call throws. */
function refused(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  throw new Error("Expected the call to be refused");
}

const estimator = (name: (typeof KINDS.estimator)[number], more: Scalars = {}): Fields => ({
  scalars: { estimator: KINDS.estimator.indexOf(name), ...more },
});
const SAMPLER = { estimator: 1 };
const WALSH = { ...SAMPLER, coupling: 2 };
const detached = () => {
  const array = new Float32Array(N);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
};

/** A job that would read or write where it must not, or never end; its code, and where the fault lies. */
const WRONG: readonly [string, Fields, string][] = [
  ["no rows", { scalars: { exampleCount: 0 } }, "ARRAY_LENGTH"],
  ["more rows than inputs", { scalars: { exampleCount: ROWS + 1 } }, "ARRAY_LENGTH"],
  ["rows whose inputs no memory holds", { scalars: { exampleCount: 2 ** 53 - 1 } }, "ARRAY_LENGTH"],
  ["a count that is no number", { scalars: { exampleCount: Number.NaN } }, "ARGUMENT"],
  ["a count that is infinite", { scalars: { exampleCount: Number.POSITIVE_INFINITY } }, "ARGUMENT"],
  ["a count below zero", { scalars: { exampleCount: -1 } }, "ARGUMENT"],
  ["half a row", { scalars: { exampleCount: 0.5 } }, "ARGUMENT"],
  ["a label that is no class", { arrays: { labels: new Uint16Array(ROWS).fill(2) } }, "ARGUMENT"],
  ["no labels", { arrays: { labels: null } }, "ARRAY_TYPE"],
  ["labels of more bits", { arrays: { labels: new Uint32Array(ROWS) } }, "ARRAY_TYPE"],
  ["bytes that are floats", { arrays: { inputs: new Float32Array(ROWS * 4) } }, "ARRAY_TYPE"],
  ["a layer of no width", { arrays: { layers: Uint32Array.of(4, 0, 2) } }, "ARGUMENT"],
  ["one layer", { arrays: { layers: Uint32Array.of(4) } }, "ARRAY_LENGTH"],
  ["layers past 64 bits", { arrays: { layers: Uint32Array.of(2 ** 32 - 1, 2 ** 32 - 1, 2) } }, "ARGUMENT"],
  ["layers that are floats", { arrays: { layers: Float64Array.of(4, 3, 2) } }, "ARRAY_TYPE"],
  ["parameters that are gone", { arrays: { parameters: detached() } }, "ARRAY_LENGTH"],
  [
    "parameters in a view of bytes",
    { arrays: { parameters: new DataView(new ArrayBuffer(4 * N)) } },
    "ARRAY_TYPE",
  ],
  ["parameters of another sign", { arrays: { parameters: new Int32Array(N) } }, "ARRAY_TYPE"],
  ["an unknown estimator", { scalars: { estimator: 5 } }, "UNKNOWN_KIND"],
  ["an unknown coupling", { scalars: { ...SAMPLER, coupling: 3 } }, "UNKNOWN_KIND"],
  ["an unknown loss", { scalars: { lossKind: 7 } }, "UNKNOWN_KIND"],
  ["an unknown activation", { scalars: { activation: 3 } }, "UNKNOWN_KIND"],
  [
    "costs of fewer classes",
    { scalars: { lossKind: 1 }, arrays: { costs: new Float32Array(1) } },
    "ARRAY_LENGTH",
  ],
  ["no samples", { scalars: { ...SAMPLER, samples: 0 } }, "ARGUMENT"],
  ["samples past 32 bits", { scalars: { ...SAMPLER, samples: 2 ** 32 } }, "ARGUMENT"],
  ["half a pair", { scalars: { ...SAMPLER, coupling: 1, samples: 3 } }, "ARGUMENT"],
  ["no blocks", { scalars: { ...WALSH, blocks: 0 } }, "ARGUMENT"],
  ["fewer losses than samples", { scalars: { ...SAMPLER, entries: 1 } }, "ARGUMENT"],
  ["losses that no memory holds", { scalars: { ...SAMPLER, entries: 2 ** 52 } }, "OUT_OF_MEMORY"],
  ["no batches", { scalars: { batches: 0 } }, "ARGUMENT"],
  ["batches without transitions", { scalars: { batches: 2 } }, "ARGUMENT"],
  ["a chain without iterates", estimator("sgld", { iterates: 0 }), "ARGUMENT"],
  ["a chain of fewer step sizes", estimator("robbins-monro", { iterates: 4 }), "ARRAY_LENGTH"],
  ["batches that are projected", estimator("sgld", { batches: 2, projected: 1 }), "ARGUMENT"],
];

describeNative("the addon's own door", () => {
  const addon = loadAddon("native").addon as Addon;
  let queue: Queue;
  beforeEach(() => {
    queue = addon.open("", 2);
  });
  afterEach(() => addon.close(queue));

  /** A job's code and numbers. */
  const told = (begin: (done: Done) => unknown) =>
    new Promise<[string | null, Parameters<Done>[2]]>((resolve) => {
      begin((code, _, numbers) => resolve([code, numbers]));
    });
  const estimate = (fields: Fields) => {
    const { scalars, arrays } = flat("estimate", fields);
    return told((done) => addon.start(queue, scalars, arrays, done));
  };
  const open = (fields: Fields = {}) => {
    const job = flat("run", fields);
    return addon.openSession(queue, job, job);
  };

  test.each(WRONG)("%s: refused by an operation and by a session", (_, fields, code) => {
    const { scalars, arrays } = flat("estimate", fields);
    expect(refused(() => addon.start(queue, scalars, arrays, () => {}))).toBe(code);
    if ("entries" in (fields.scalars ?? {})) return; // a session has none
    expect(refused(() => open(fields))).toBe(code);
  });

  test("what is right beside it is computed", async () => {
    expect((await estimate({}))[0]).toBeNull();
    expect((await estimate({ scalars: { ...SAMPLER, entries: 4 } }))[0]).toBeNull();
    expect((await estimate({ scalars: { ...WALSH, entries: 8 } }))[0]).toBeNull(); // m = 4: 3 hidden units and a bias
    expect((await estimate(estimator("sgld", { batches: 2 })))[0]).toBeNull();
  });

  test("batches of unequal rows are refused", () => {
    const fields = {
      ...estimator("robbins-monro", { iterates: 4, batches: 4 }),
      arrays: { stepSizes: new Float64Array(4) },
    };
    const { scalars, arrays } = flat("estimate", fields);
    expect(refused(() => addon.start(queue, scalars, arrays, () => {}))).toBe("ARGUMENT");
  });

  test("a product with the Hessian needs a vector as long as the parameters", async () => {
    const product = (vector: Float32Array | null) => flat("hessian-product", { arrays: { vector } });
    const begin = (vector: Float32Array | null, done: Done = () => {}) => {
      const { scalars, arrays } = product(vector);
      return addon.start(queue, scalars, arrays, done);
    };
    expect(refused(() => begin(null))).toBe("ARRAY_TYPE");
    expect(refused(() => begin(new Float32Array(N - 1)))).toBe("ARRAY_LENGTH");
    expect(refused(() => begin(detached()))).toBe("ARRAY_LENGTH");
    expect((await told((done) => begin(new Float32Array(N).fill(1), done)))[0]).toBeNull();
  });

  test("Walsh blocks of two hidden layers are refused", () => {
    const layers = Uint32Array.of(4, 3, 2, 2);
    const fields = { scalars: WALSH, arrays: { layers, parameters: new Float32Array(29) } };
    const { scalars, arrays } = flat("estimate", fields);
    expect(refused(() => addon.start(queue, scalars, arrays, () => {}))).toBe("ARGUMENT");
  });

  test.each([
    ["a row that the data lacks", { arrays: { rows: Uint32Array.of(0, 1, 2, ROWS) } }, "ARGUMENT"],
    ["fewer rows than updates", { arrays: { rows: Uint32Array.of(0, 1) } }, "ARRAY_LENGTH"],
    ["more updates than numbers", { scalars: { count: 2 ** 32 - 1 } }, "ARRAY_LENGTH"],
  ])("a plan with %s is refused", (_, fields: Fields, code) => {
    const session = open();
    const { scalars, arrays } = flat("run", fields);
    expect(refused(() => addon.run(session, scalars, arrays, () => {}))).toBe(code);
  });

  test("minibatches of no rows are refused", () => {
    expect(refused(() => open({ scalars: { batchSize: 0 } }))).toBe("ARGUMENT");
  });

  test.each([1, 2, 3, -1, 0.5, Number.NaN])("the accuracy of split %p is refused", (split) => {
    expect(refused(() => addon.accuracy(open(), split, () => {}))).toBe("ARGUMENT");
  });

  test("a predictor's rows and the room for its answer are checked before either is touched", () => {
    const { scalars, arrays } = flat("predict");
    const predictor = addon.openPredictor(queue, scalars, arrays);
    const asked = (inputs: unknown, probabilities: unknown, labels: unknown) =>
      refused(() => addon.predict(predictor, inputs as never, probabilities as never, labels as never));
    const [two, room, labels] = [new Float32Array(8), new Float32Array(4), new Uint16Array(2)];
    addon.predict(predictor, two, room, labels);
    expect(room).not.toEqual(new Float32Array(4));
    expect(asked(new Float32Array(7), room, labels)).toBe("ARRAY_LENGTH");
    expect(asked(new Float32Array(0), room, labels)).toBe("ARRAY_LENGTH");
    expect(asked(new Float64Array(8), room, labels)).toBe("ARRAY_TYPE");
    expect(asked(two, new Float32Array(3), labels)).toBe("ARRAY_LENGTH");
    expect(asked(two, new Float64Array(4), labels)).toBe("ARRAY_TYPE");
    expect(asked(two, room, new Uint16Array(1))).toBe("ARRAY_LENGTH");
    expect(asked(two, room, new Uint32Array(2))).toBe("ARRAY_TYPE");
    expect(asked(two, room, undefined)).toBe("ARRAY_TYPE");
    addon.closePredictor(predictor);
    expect(asked(two, room, labels)).toBe("CLOSED");
    const short = flat("predict", { arrays: { parameters: new Float32Array(N - 1) } });
    expect(refused(() => addon.openPredictor(queue, short.scalars, short.arrays))).toBe("ARRAY_LENGTH");
  });

  test("what is no handle, or that of something else, is told", async () => {
    const session = open();
    const takes = (name: keyof Addon, ...more: unknown[]) => {
      const method = addon[name] as (...args: unknown[]) => unknown;
      return (handle: unknown) => refused(() => method(handle, ...more));
    };
    const calls = [
      ...[takes("instructionSet"), takes("close"), takes("cancel", 1), takes("collect", {})].map((call) => [
        call,
        queue,
      ]),
      [takes("openSession", flat("run")), queue],
      ...[takes("closeSession"), takes("read", () => {})].map((call) => [call, session]),
    ] as [(handle: unknown) => string, unknown][];
    for (const [call, right] of calls) {
      for (const handle of [undefined, null, 1, "queue", {}, () => {}, queue, session]) {
        if (handle !== right) expect(call(handle)).toBe("ARGUMENT");
      }
    }
  });

  test.each([
    ["threads", () => (loadAddon("native").addon as Addon).open("", 0)],
    ["instruction set", () => (loadAddon("native").addon as Addon).open(3 as unknown as string, 1)],
  ])("opening with wrong %s is refused", (_, call) => {
    expect(refused(call)).toBe("ARGUMENT");
  });

  test("a closed session and a closed backend say so", () => {
    const [closed, session] = [open(), open()];
    addon.closeSession(closed);
    addon.closeSession(closed);
    expect(refused(() => addon.read(closed, () => {}))).toBe("CLOSED");
    addon.close(queue);
    addon.close(queue);
    const { scalars, arrays } = flat("estimate");
    expect(refused(() => addon.start(queue, scalars, arrays, () => {}))).toBe("CLOSED");
    expect(refused(() => addon.read(session, () => {}))).toBe("CLOSED");
    expect(refused(() => open())).toBe("CLOSED");
  });

  test("outputs are collected inside `done` only", async () => {
    const { scalars, arrays } = flat("estimate");
    const gradient = new Float32Array(N);
    let during = 0;
    await told((done) => {
      addon.start(queue, scalars, arrays, (...answer) => {
        during = addon.collect(queue, { gradient });
        expect(refused(() => addon.collect(queue, { gradient: new Float32Array(N - 1) }))).toBe(
          "ARRAY_LENGTH",
        );
        done(...answer);
      });
      expect(refused(() => addon.collect(queue, { gradient }))).toBe("FAILED");
    });
    expect(during).toBe(1);
    expect(refused(() => addon.collect(queue, { gradient }))).toBe("FAILED");
  });

  test("a callback that throws, or closes the backend again, keeps nothing of the others", async () => {
    const { scalars, arrays } = flat("estimate", {
      scalars: { ...SAMPLER, samples: 2 ** 32 - 2, coupling: 1, rowwise: 0 },
    });
    const order: string[] = [];
    addon.start(queue, scalars, arrays, () => {
      order.push("throws");
      throw new Error("of the caller");
    });
    addon.start(queue, scalars, arrays, () => {
      order.push("closes");
      addon.close(queue);
      expect(refused(() => addon.start(queue, scalars, arrays, () => {}))).toBe("CLOSED");
    });
    addon.start(queue, scalars, arrays, () => order.push("last"));
    await delay(5);
    expect(() => addon.close(queue)).toThrow("of the caller");
    expect(order).toEqual(["throws", "closes", "last"]);
  });

  test("numbers that are no numbers reach no memory", async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 0, -1, 1e308]) {
      const arrays = { parameters: new Float32Array(N).fill(value), tau: Float64Array.of(value) };
      for (const scalars of [{}, SAMPLER, WALSH, { ...SAMPLER, rowwise: 1 }, estimator("sgld").scalars]) {
        const [code, { loss }] = await estimate({ scalars: { ...scalars, temperature: value }, arrays });
        expect([code, typeof loss]).toEqual([null, "number"]);
      }
    }
  });
});
