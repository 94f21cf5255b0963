export async function call(url: string): Promise<number> {
  const answer = await fetch(url)
  return answer.status
}
