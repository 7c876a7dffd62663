/**
 * What a backend is, to the rest of the package: results, errors with their codes, order, aborting, closing, copies, and
 * arrays of other realms. The same for all of them, the reference included.
 *
 * How exact results are is tested operation by operation, how long a stop may take in `jobs` of a backend with threads.
 */
import { beforeAll, describe, expect, test } from "@jest/globals";
import { type Backend, VALUES } from "../../src/backends/backend.ts";
import { onEachEngine, reference } from "../support/backends.ts";
import {
  arrayPaths,
  clearArrays,
  detachArray,
  fromAnotherRealm,
  type OperationName,
  operationInputs,
  planOf,
  sessionSetup,
} from "../support/contract-inputs.ts";
import { delay, fingerprint, rejection } from "../support/jobs.ts";

const NAMES = Object.keys(operationInputs()) as OperationName[];

type Named = Record<string, unknown>;

/** An operation by its name; inputs of different types have one body here. */
function call({ operations }: Pick<Backend, "operations">, name: OperationName, input: unknown) {
  return (operations[name] as (input: unknown) => Promise<unknown>)(input);
}

function sampling(samples: number) {
  return { ...operationInputs().weights, coupling: { kind: "antithetic", samples } } as const;
}

/** A run of so many updates that none waits for its end. */
const ENDLESS = 1_000_000;

/** Every number of a result with where it stands in it. */
function numbersOf(result: unknown, path = ""): [string, number][] {
  if (typeof result === "number") return [[path, result]];
  if (typeof result !== "object" || result === null) return [];
  return Object.entries(result)
    .flatMap(([key, value]) => numbersOf(value, `${path}.${key}`))
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Largest difference, relative to the largest number. */
function difference(actual: unknown, expected: unknown): number {
  const [a, e] = [numbersOf(actual), numbersOf(expected)];
  expect(a.map(([path]) => path)).toEqual(e.map(([path]) => path));
  const largest = Math.max(...e.map(([, value]) => Math.abs(value)));
  return Math.max(...a.map(([, value], i) => Math.abs(value - e[i][1]))) / largest;
}

onEachEngine((given) => {
  let backend: Backend;
  beforeAll(() => {
    backend = given();
  });
  /** Importance sampling that lasts for seconds, unless it is stopped; the shim stops between portions, each as long. */
  const endless = () => sampling(given.slow ? 2000 : 40_000_000);
  /** A session that a test closes. */
  const open = (setup = sessionSetup()) => backend.openSession(setup);

  describe("results", () => {
    test.each(NAMES)("%s: the reference's numbers under the reference's names", async (name) => {
      for (const kind of ["bytes", "floats"] as const) {
        const input = operationInputs(kind)[name];
        const expected = await call({ operations: reference }, name, input);
        // As float32 differs at most; another formula would differ by far more.
        expect(difference(await call(backend, name, input), expected)).toBeLessThan(1e-4);
      }
    });

    test("a session goes on from a state that was read, to the bit, and runs its calls in order, not awaited", async () => {
      const session = open();
      const [before, first, accuracy, between, second, after] = await Promise.all([
        session.read(),
        session.run(planOf(0, 3)),
        session.accuracy("test"),
        session.read(),
        session.run(planOf(3, 2)),
        session.read(),
      ]);
      session.close();
      expect([first.done, first.values.length, second.done, second.values.length]).toEqual([
        3,
        3 * VALUES,
        2,
        2 * VALUES,
      ]);
      expect(accuracy * 7).toBeCloseTo(Math.round(accuracy * 7), 6); // of seven rows
      expect(difference(before, sessionSetup().state)).toBeLessThan(1e-6);
      expect(between.moments).toHaveLength(2);
      expect(between.chain).not.toBeNull();

      const resumed = open({ ...sessionSetup(), state: between });
      expect(await resumed.run(planOf(3, 2))).toEqual(second);
      expect(fingerprint(await resumed.read())).toBe(fingerprint(after));
      resumed.close();
      expect(fingerprint(after)).not.toBe(fingerprint(between));
    });
  });

  describe("errors", () => {
    const cases = NAMES.flatMap((name) => arrayPaths(operationInputs()[name]).map((path) => [name, path]));
    test.each(cases)("%s: a detached array is an error: %s", async (name, path) => {
      const input = operationInputs()[name as OperationName];
      detachArray(input, path);
      const error = await rejection(call(backend, name as OperationName, input));
      expect(error.code).toBe("ERR_OPTION");
      expect(error.message).toMatch(/^Expected .* received (0|none); a detached array has none$/);
    });

    test.each(["rows", "tau", "noiseScale", "rate"] as const)(
      "a plan of the wrong length is an error: %s",
      async (name) => {
        const session = open();
        const plan = planOf(0, 2);
        const short = plan[name].slice(1);
        const error = await rejection(session.run({ ...plan, [name]: short }));
        session.close();
        expect(error.code).toBe("ERR_OPTION");
        expect(error.message).toBe(
          `Expected ${plan[name].length} entries for ${name} but received ${short.length}; a detached array has none`,
        );
      },
    );

    test("a split that the session has not is an error that lists those it has", async () => {
      const session = open();
      const error = await rejection(session.accuracy("validation"));
      session.close();
      expect(error.code).toBe("ERR_OPTION");
      expect(error.message).toBe('Expected train, test for split but received "validation"');
    });

    const strange: [string, OperationName, Named][] = [
      ["activation", "loss", { network: { layers: [11, 7, 4], activation: "gelu" } }],
      ["loss", "loss", { loss: { kind: "hinge" } }],
      ["coupling", "weights", { coupling: { kind: "sobol", samples: 4 } }],
      ["optimizer", "step", { optimizer: { kind: "lion" } }],
    ];
    test.each(strange)("a kind that nobody knows is an error: %s", async (_, name, changed) => {
      const error = await rejection(call(backend, name, { ...operationInputs()[name], ...changed }));
      expect(error.code).toMatch(/^ERR_(OPTION|BACKEND)$/);
      expect(error.message).toMatch(/gelu|hinge|sobol|lion/);
    });

    test("more memory than there is rejects, with the caller's stack as the cause", async () => {
      async function asksTooMuch() {
        return await backend.operations.weights(sampling(2 ** 46));
      }
      const error = await rejection(asksTooMuch());
      expect(error).toMatchObject({ code: "ERR_BACKEND", cause: { code: "OUT_OF_MEMORY" } });
      expect((error.cause as Error).stack).toMatch(/asksTooMuch/);
    });

    test("more normals than an array holds are an error of the backend", async () => {
      const input = { ...operationInputs().gaussian, count: 2 ** 46 };
      expect((await rejection(backend.operations.gaussian(input))).code).toBe("ERR_BACKEND");
    });
  });

  describe("aborting", () => {
    test.each(NAMES)("%s: a signal that was aborted before rejects with its reason", async (name) => {
      const reason = { because: "of the test" };
      const input = { ...operationInputs()[name], signal: AbortSignal.abort(reason) };
      expect(await rejection(call(backend, name, input))).toBe(reason);
    });

    test("an operation under way rejects with the signal's reason, and the next is answered", async () => {
      const controller = new AbortController();
      const work = rejection(backend.operations.weights({ ...endless(), signal: controller.signal }));
      const next = backend.operations.weights(operationInputs().weights);
      await delay(50);
      controller.abort("enough");
      expect(await work).toBe("enough");
      expect((await next).losses).toHaveLength(12);
    });

    test("a session's run resolves with what was done, and goes on as if never stopped", async () => {
      const updates = 30;
      const whole = open();
      await whole.run(planOf(0, updates));
      const expected = fingerprint(await whole.read());
      whole.close();

      const session = open();
      expect(await session.run(planOf(0, 1), AbortSignal.abort())).toEqual({
        done: 0,
        values: new Float64Array(0),
        finite: true,
      });
      const controller = new AbortController();
      const run = session.run(planOf(0, ENDLESS), controller.signal);
      await delay(2);
      controller.abort();
      const { done, values } = await run;
      expect(done).toBeLessThan(ENDLESS);
      expect(values).toHaveLength(VALUES * done);
      if (done < updates) await session.run(planOf(done, updates - done));
      const actual = fingerprint(await session.read());
      session.close();
      if (done <= updates) expect(actual).toBe(expected);
      else expect(fingerprint(await stateAfter(done))).toBe(actual);
    });

    async function stateAfter(updates: number) {
      const session = open();
      await session.run(planOf(0, updates));
      const state = await session.read();
      session.close();
      return state;
    }
  });

  describe("closing", () => {
    const CLOSED = { code: "ERR_BACKEND", message: expect.stringMatching(/ is closed; open a new one$/) };

    test("a closed backend answers nothing", async () => {
      const other = given.open(1);
      const session = other.openSession(sessionSetup());
      other.close();
      other.close();
      for (const name of NAMES) {
        expect(await rejection(call(other, name, operationInputs()[name]))).toMatchObject(CLOSED);
      }
      expect(() => other.openSession(sessionSetup())).toThrow("The backend is closed; open a new one");
      expect(await rejection(other.takeSession(sessionSetup()))).toMatchObject(CLOSED);
      for (const calls of callsOf(session)) expect(await rejection(calls())).toMatchObject(CLOSED);
      session.close();
    });

    test("a closed session answers nothing, and leaves its backend at work", async () => {
      const session = open();
      session.close();
      session.close();
      for (const calls of callsOf(session)) expect(await rejection(calls())).toMatchObject(CLOSED);
      expect(await backend.operations.loss(operationInputs().loss)).toBeGreaterThan(0);
    });

    const callsOf = (session: ReturnType<typeof open>) => [
      () => session.run(planOf(0, 1)),
      () => session.accuracy("train"),
      () => session.read(),
    ];

    test("closing a session rejects what runs and what waits", async () => {
      const session = open();
      const calls = [session.run(planOf(0, ENDLESS)), session.read(), session.accuracy("train")];
      const errors = calls.map(rejection);
      await delay(50);
      session.close();
      for (const error of await Promise.all(errors)) expect(error).toMatchObject(CLOSED);
      expect(await backend.operations.loss(operationInputs().loss)).toBeGreaterThan(0);
    });

    test("closing a backend rejects what runs and what waits", async () => {
      const other = given.open(1);
      const session = other.openSession(sessionSetup());
      const calls = [
        session.run(planOf(0, ENDLESS)),
        other.operations.weights(endless()),
        other.operations.weights(endless()),
      ];
      const errors = calls.map(rejection);
      await delay(50);
      other.close();
      for (const error of await Promise.all(errors)) expect(error).toMatchObject(CLOSED);
    });
  });

  describe("arrays", () => {
    test.each(NAMES)("%s: inputs may be changed once the call has returned", async (name) => {
      const expected = await call(backend, name, operationInputs()[name]);
      const input = operationInputs()[name];
      const work = call(backend, name, input);
      clearArrays(input);
      expect(await work).toEqual(expected);
    });

    test.each(NAMES)("%s: arrays of another realm are arrays", async (name) => {
      for (const kind of ["bytes", "floats"] as const) {
        const input = operationInputs(kind)[name];
        const expected = await call(backend, name, input);
        expect(await call(backend, name, fromAnotherRealm(input))).toEqual(expected);
      }
    });

    test("a session copies its data, its state and its plans, whatever realm they are of", async () => {
      const updated = async (handedOver: (input: unknown) => void, from: <T>(input: T) => T) => {
        const setup = from(sessionSetup());
        const session = open(setup);
        handedOver(setup);
        const plan = from(planOf(0, 3));
        const run = session.run(plan);
        handedOver(plan);
        const result = [await run, fingerprint(await session.read()), await session.accuracy("test")];
        session.close();
        return result;
      };
      const same = <T>(input: T) => input;
      const expected = await updated(() => {}, same);
      expect(await updated(clearArrays, same)).toEqual(expected);
      expect(await updated(() => {}, fromAnotherRealm)).toEqual(expected);
    });

    test.each(["bytes", "floats"] as const)(
      "a session that takes its %s has the numbers of one that copies",
      async (kind) => {
        const updated = async (session: ReturnType<typeof open>) => {
          const result = [
            await session.run(planOf(0, 3)),
            await session.accuracy("test"),
            fingerprint(await session.read()),
          ];
          session.close();
          return result;
        };
        const expected = await updated(open(sessionSetup(kind)));
        const setup = sessionSetup(kind);
        const taking = backend.takeSession(setup);
        clearArrays({ ...setup, data: {} }); // all but the data is copied
        expect(await updated(await taking)).toEqual(expected);
      },
    );
  });
});
