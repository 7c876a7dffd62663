export function tenUpdates(
  train: unknown,
  backend: string,
): Promise<{ readonly updates: number; readonly backend: { readonly name: string } }>;
