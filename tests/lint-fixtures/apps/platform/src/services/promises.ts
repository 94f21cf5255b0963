async function work(): Promise<void> {
  await Promise.resolve()
}

export async function start(): Promise<void> {
  work() // <- lint/nursery/noFloatingPromises
  work().finally(() => undefined) // <- lint/nursery/noFloatingPromises
  await work()
}
