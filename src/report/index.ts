export const FORMATS = { terminal: (j: object) => JSON.stringify(j, undefined, 1) };
