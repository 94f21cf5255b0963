export function refuse(isBad: boolean): boolean {
  if (isBad) throw 'bad' // <- lint/style/useThrowOnlyError
  return isBad
}
