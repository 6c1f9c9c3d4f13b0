/** INFO's text → its fields, and who answered. */

export interface Identity {
  product: 'redis' | 'valkey' | 'other';
  version: string;
}

/** Sections by lower-case heading, each as name → value, both as printed. */
export type Info = Record<string, Record<string, string>>;

export function parseSections(text: string): Info {
  let fields: Record<string, string> = {};
  // What stands before the first heading, if anything does.
  const sections: Info = { '': fields };
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (line.startsWith('#')) {
      fields = {};
      sections[line.slice(1).trim().toLowerCase()] = fields;
    } else if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1);
  }
  if (Object.keys(sections['']!).length === 0) delete sections[''];
  return sections;
}

/** The same as name → value, whatever the section. */
export function parseInfo(text: string): Record<string, string> {
  return Object.assign({}, ...Object.values(parseSections(text)));
}

/**
 * Valkey says `redis_version:7.2.4` for ever, so its own `valkey_version` decides; a server with a version field of yet
 * another name (Dragonfly, Kvrocks, …) is neither.
 */
export function identify(fields: Record<string, string>): Identity {
  if (fields.valkey_version) return { product: 'valkey', version: fields.valkey_version };
  const foreign = Object.keys(fields).find((name) => /^(?!redis_|gcc_)[a-z]+_version$/.test(name));
  if (foreign) return { product: 'other', version: fields[foreign]! };
  return { product: fields.redis_version ? 'redis' : 'other', version: fields.redis_version ?? 'unknown' };
}
