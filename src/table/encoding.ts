/**
 * What was found in a table's training rows, as plain JSON. Types alone, which `train` and checkpoints know too.
 */

/** A column of numbers as an input: (value − mean)/deviation, both of the training rows. */
export interface NumberFeature {
  /** Of the column. */
  readonly name: string;
  readonly kind: "number";
  /** In the column's unit. */
  readonly mean: number;
  /** The standard deviation, above 0, in the column's unit. */
  readonly deviation: number;
}

/** A column of categories as inputs, one each: 1 for the row's category, 0 for the others. */
export interface CategoryFeature {
  /** Of the column. */
  readonly name: string;
  readonly kind: "category";
  /** In the order of their inputs. */
  readonly categories: readonly string[];
  /** Most frequent category of the training rows: what a missing value stands for where such are filled. */
  readonly mostFrequent: string;
}

/** How a table's rows became numbers: plain JSON, all that encodes other rows in the same way. */
export interface Encoding {
  readonly format: "local-entropy-table-1";
  /** The columns that are inputs, in their order. */
  readonly features: readonly (NumberFeature | CategoryFeature)[];
  /** A name for each input: the column's, or "column=category". */
  readonly featureNames: readonly string[];
  /**
   * What is predicted. "label": `classNames` are the classes in the order of their numbers. "target": the network's output
   * is (value − mean)/deviation, both of the training rows, in the column's unit. `name` is the column's.
   */
  readonly answer:
    | { readonly kind: "label"; readonly name: string; readonly classNames: readonly string[] }
    | { readonly kind: "target"; readonly name: string; readonly mean: number; readonly deviation: number };
  /** Whether missing values are filled: with the mean, or the most frequent category. */
  readonly fill: boolean;
  /** The sign before a number's fraction in text. */
  readonly decimal: "." | ",";
  /** Rows that were left out because a value was missing in them. */
  readonly dropped: number;
}
