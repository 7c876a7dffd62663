/**
 * IDX files for tests.
 */

/** Unsigned bytes of these sizes, with IDX's header. */
export function idx(sizes: readonly number[], values: Uint8Array): Uint8Array {
  const header = 4 + 4 * sizes.length;
  const bytes = new Uint8Array(header + values.length);
  bytes.set([0, 0, 8, sizes.length]);
  const view = new DataView(bytes.buffer);
  sizes.forEach((size, i) => {
    view.setUint32(4 + 4 * i, size);
  });
  bytes.set(values, header);
  return bytes;
}
