import { train } from "local-entropy";
import { tenUpdates } from "./ten-updates.mjs";

globalThis.done = tenUpdates(train, "auto").then(({ backend, updates }) => ({ ...backend, updates }));
