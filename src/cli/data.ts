/**
 * The data that flags ask for, and the network that suits it where they name none.
 */
import { loadMnist, subset } from "../data/mnist.ts";
import type { Activation } from "../network.ts";
import type { Data, NetworkOptions } from "../options/types.ts";
import type { TableOptions } from "../table/options.ts";
import { UsageError } from "./values.ts";

/** IDX files or, where there is a label, a CSV file. */
export interface DataRequest {
  readonly path?: string;
  /** Rows, or of a table a part of them. */
  readonly validation?: number;
  /** Of IDX files: the first so many rows alone. */
  readonly trainSize?: number;
  /** A table's column of classes. */
  readonly label?: string;
  /** Columns of a table that are no inputs, parted by commas. */
  readonly ignore?: string;
  readonly missing?: string;
  /** Width of a table's hidden layer. */
  readonly hidden?: number;
}

/** Widths that are left to the data are undefined. */
export interface NetworkRequest {
  readonly layers?: readonly number[];
  readonly activation?: Activation;
}

/** @param seed of a table's split */
export async function dataOf(
  { path, validation, trainSize, label, ignore, missing }: DataRequest,
  seed: number | bigint | undefined,
): Promise<Data> {
  if (label === undefined) {
    const data = await loadMnist({ directory: path, validation });
    return trainSize === undefined ? data : { ...data, train: subset(data.train, trainSize) };
  }
  if (path === undefined)
    throw new UsageError("Expected a CSV file for --data, since --label names a column");
  const { table } = await import("../table/table.ts");
  const columns = Object.fromEntries((ignore?.split(",") ?? []).map((name) => [name, "ignore" as const]));
  return table(path, { label, columns, missing: missing as TableOptions["missing"], validation, seed });
}

/** The widths that were asked for; of a table otherwise inputs, a hidden layer and classes. */
export function networkFor(
  { network, data: { hidden = 0 } }: { readonly network: NetworkRequest; readonly data: DataRequest },
  { train }: Data,
): NetworkOptions {
  const { layers = [train.width, hidden, train.classes], activation } = network;
  return { layers, activation };
}
