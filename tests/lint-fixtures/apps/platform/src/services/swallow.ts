export function swallow(step: () => void): void {
  try {
    step()
  } catch {}
  // ^ lint/suspicious/noEmptyBlockStatements
}
