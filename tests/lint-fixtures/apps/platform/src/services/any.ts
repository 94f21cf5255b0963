export function take(value: any): string { // ! lint/suspicious/noExplicitAny
  return String(value)
}
