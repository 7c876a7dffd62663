/** What a worker of the WASM backend runs: it listens to the thread that made it (`wasm/calls.ts`). */
import { isNode, nodeModule } from "../../host.ts";
import { listen, type Port } from "./calls.ts";

listen((isNode ? nodeModule("node:worker_threads").parentPort : globalThis) as unknown as Port);
