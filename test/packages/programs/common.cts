// CommonJS of a compiler that requires no module: the import is dynamic.
async function main(): Promise<void> {
  const { train } = await import("local-entropy");
  const { tenUpdates } = await import("./ten-updates.mjs");
  const { updates, backend } = await tenUpdates(train, "auto");
  console.log(JSON.stringify({ updates, name: backend.name }));
}
main();
