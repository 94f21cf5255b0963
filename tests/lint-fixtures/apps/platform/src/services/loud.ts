export function loud(text: string): string {
  console.log(text) // <- lint/suspicious/noConsole
  return text
}
