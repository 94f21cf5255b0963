export function tangled(a: number, b: number): number { // ! lint/complexity/noExcessiveCognitiveComplexity
  let sum = 0
  for (let i = 0; i < a; i += 1) {
    for (let j = 0; j < b; j += 1) {
      if (i > j) {
        if (i === 3) sum += 1
      } else if (i === j) {
        sum += 2
      }
    }
  }
  return sum
}
