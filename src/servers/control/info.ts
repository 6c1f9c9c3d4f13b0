/** INFO of several nodes → INFO of them together. */

/** Shares and rates do not add up. */
const IS_RATIO = /ratio|^avg_|_perc$|_per_call$/;
const NUMBER = /^-?\d+(\.\d+)?$/;

/** Amounts are sums, ratios are means; of what is no number, the first node's stands for all. */
export function sumInfo(infos: Record<string, string>[]): Record<string, string> {
  const names = new Set(infos.flatMap((info) => Object.keys(info)));
  return Object.fromEntries(
    [...names].map((name) => [
      name,
      sumValues(
        name,
        infos.flatMap((info) => info[name] ?? []),
      ),
    ]),
  );
}

/** A number, or `calls=5,usec=17`. */
function sumValues(name: string, values: string[]): string {
  if (values.every((value) => NUMBER.test(value))) {
    const sum = values.reduce((total, value) => total + Number(value), 0);
    return String(IS_RATIO.test(name) ? sum / values.length : sum);
  }
  const records = values.map((value) => Object.fromEntries(value.split(',').map((field) => field.split('='))));
  if (!records.every((fields) => Object.values(fields).every((value) => typeof value === 'string'))) return values[0]!;
  return Object.entries(sumInfo(records))
    .map(([field, value]) => `${field}=${value}`)
    .join(',');
}
