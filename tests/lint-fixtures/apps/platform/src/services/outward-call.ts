export async function call(url: string): Promise<string> {
  await fetch(url) // <- lint/style/noRestrictedGlobals
  return url
}
