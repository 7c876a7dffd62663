/** Values that no caller of the addon should hand over, and jobs that are right but for some of them. */
import tls from "node:tls";
import { ARRAYS, KINDS, SCALARS } from "../../../lib/backends/description.js";

const NUMBERS = [
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, -0, 0.5, 1e300, 5e-324, 1e-40],
  ...[2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 65_536, 1023, 17, 3, 2, 1, 0],
];
const FLOATS = [Number.NaN, Number.POSITIVE_INFINITY, -1e38, 1e38, 1e-40, 1e308, 0, 1];
const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array };
const OTHER_TYPES = [
  ...[Int8Array, Int16Array, Int32Array, Uint8ClampedArray, BigInt64Array, Float64Array, Uint8Array],
  ...(globalThis.Float16Array ? [globalThis.Float16Array] : []),
];

/** What is no handle of the addon; one is another program's external. */
export const NO_HANDLES = [
  ...[undefined, null, 0, "handle", true, 1n, Symbol("handle"), {}, [], () => {}, Object.create(null)],
  ...[new Proxy({}, {}), new ArrayBuffer(8), tls.createSecureContext().context._external],
];

/** Counts for which memory is taken. */
const TAKEN = ["entries", "samples", "blocks"];

/**
 * @param random numbers in [0, 1)
 * @param modest whether to ask for no more memory than there is: AddressSanitizer's `new` ends the process then
 */
export function hostile(random, modest) {
  const below = (count) => Math.floor(random() * count);
  const any = (list) => list[below(list.length)];
  const chance = (probability) => random() < probability;
  const number = () => any(NUMBERS);

  /** The same entries in memory of another kind; or none, where that memory is gone. */
  function moved(array) {
    const { constructor: Type, length } = array;
    if (chance(0.3)) {
      const shared = new Type(new SharedArrayBuffer(array.byteLength));
      shared.set(array);
      return shared;
    }
    if (chance(0.5)) {
      structuredClone(array.buffer, { transfer: [array.buffer] });
      return array;
    }
    const buffer = new ArrayBuffer(array.byteLength, { maxByteLength: array.byteLength + 64 });
    const tracking = chance(0.5) ? new Type(buffer) : new Type(buffer, 0, length);
    tracking.set(array);
    buffer.resize(chance(0.5) ? 0 : below(array.byteLength + 64));
    return tracking;
  }

  /** Something in an array's place. */
  function wrong(given) {
    const array = given.slice(); // its caller may need it once more
    const length = any([0, 1, array.length - 1, array.length + 1, 2 * array.length, array.length]);
    switch (below(6)) {
      case 0:
        return any([
          undefined,
          null,
          7,
          "array",
          [1, 2],
          {},
          new DataView(new ArrayBuffer(8)),
          new ArrayBuffer(8),
        ]);
      case 1:
        return new array.constructor(Math.max(0, length));
      case 2:
        return new (any(OTHER_TYPES))(array.length);
      case 3:
        return moved(array);
      case 4:
        return new Uint8Array(new ArrayBuffer(array.length + 5), 5); // begins in the middle of its memory
      default: {
        const filled = array.slice();
        const fill = array instanceof Float32Array || array instanceof Float64Array ? FLOATS : NUMBERS;
        for (let i = 0; i < filled.length; i++) if (chance(0.3)) filled[i] = any(fill);
        return filled;
      }
    }
  }

  const filled = (name, length, entry) => TYPES[ARRAYS[name]].from({ length }, entry);
  const normal = () => random() + random() + random() - 1.5;

  /** A right job's fields, by name. */
  function problem(operation) {
    const layers = any([
      [1, 1],
      [5, 3],
      [6, 7, 3],
      [17, 20, 10],
      [4, 5, 6, 3],
    ]);
    const classes = layers.at(-1);
    const n = layers.slice(1).reduce((sum, width, l) => sum + (layers[l] + 1) * width, 0);
    const exampleCount = 1 + below(40);
    const estimator = below(KINDS.estimator.length);
    const coupling = below(layers.length > 3 ? 2 : 3);
    const iterates = 1 + below(4);
    const transitions = KINDS.estimator[estimator] === "sgld" ? iterates - 1 : iterates;
    const chain = estimator >= 3;
    const batches = chain && exampleCount % transitions === 0 && chance(0.3) ? transitions : 1;
    const samples = 2 * (1 + below(20));
    const count = below(4);
    const batchSize = 1 + below(20);
    const scalars = {
      ...{ temperature: 1, momentum: 0.9, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 },
      ...{
        operation: KINDS.operation.indexOf(operation),
        seedLow: below(9),
        seedHigh: 0,
        depth: layers.length - 1,
      },
      ...{
        activation: below(3),
        lossKind: below(2),
        inputsAreFloats: below(2),
        exampleCount,
        batchSize,
        batches,
      },
      ...{
        estimator,
        coupling,
        samples,
        blocks: 1 + below(3),
        centred: below(2),
        sampleComplement: below(2),
      },
      ...{ rowwise: below(2), projected: batches === 1 ? below(2) : 0, iterates, chainPrevious: below(2) },
      ...{ wantsError: below(2), optimizer: below(3), first: below(5), count, entries: any([0, 0, samples]) },
      ...{ stream: below(20), sample: below(5) },
    };
    const inputs = scalars.inputsAreFloats
      ? Float32Array.from({ length: exampleCount * layers[0] }, normal)
      : filled("inputs", exampleCount * layers[0], () => below(256));
    const perCount = (name) => filled(name, operation === "run" ? count : 1, () => 0.01);
    const perParameter = (name) => filled(name, n, normal);
    const arrays = {
      layers: Uint32Array.from(layers),
      costs: filled("costs", classes ** 2, normal),
      inputs,
      labels: filled("labels", exampleCount, () => below(classes)),
      rows: filled("rows", count * batches * batchSize, () => below(exampleCount)),
      stepSizes: filled("stepSizes", iterates, () => 0.001),
      noiseScales: filled("noiseScales", iterates, () => 0.03),
      ...{ tau: perCount("tau"), noiseScale: perCount("noiseScale"), rate: perCount("rate") },
      ...{ parameters: perParameter("parameters"), gradient: perParameter("gradient") },
      vector: perParameter("vector"),
      ...{ moment1: perParameter("moment1"), moment2: perParameter("moment2"), chain: perParameter("chain") },
      output: new Float32Array(below(200)),
    };
    return { scalars, arrays, n, classes };
  }

  /** A job of the addon from fields by name, of which some become hostile. */
  function flat({ scalars, arrays }, wrongs) {
    const names = Object.keys(SCALARS);
    const numbers = Float64Array.from(names, (name) => scalars[name]);
    const given = { ...arrays };
    for (let i = 0; i < wrongs; i++) {
      if (chance(0.5)) {
        const place = below(names.length);
        const value = number();
        if (!modest || !TAKEN.includes(names[place]) || !(value > 1023)) numbers[place] = value;
      } else {
        const name = any(Object.keys(arrays));
        given[name] = wrong(arrays[name]);
      }
    }
    return {
      scalars: chance(0.03) ? any([undefined, 3, new Float64Array(2), moved(numbers)]) : numbers,
      arrays: given,
    };
  }

  return { below, any, chance, number, wrong, problem, flat };
}
