/** Jobs of the native backend: those of every backend with threads of its own. */
import { openNative } from "../src/backends/native.ts";
import { jobTests } from "./job-tests.ts";
import { describeNative } from "./native-inputs.ts";

describeNative("jobs of the native backend", () => jobTests((threads) => openNative({ threads })));
