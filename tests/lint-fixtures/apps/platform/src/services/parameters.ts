export function join(a: string, b: string, c: string, d: string): string { // ! lint/complexity/useMaxParams
  return a + b + c + d
}
