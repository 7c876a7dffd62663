/** Jobs of the native backend: those of every backend with threads of its own. */
import { openNative } from "../../src/backends/addon/native.ts";
import { jobTests } from "../support/job-tests.ts";
import { describeNative } from "../support/jobs.ts";

describeNative("jobs of the native backend", () => jobTests((threads) => openNative({ threads })));
