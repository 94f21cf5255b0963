/** @module What a process says when its environment is wrong (H27). */

/** Thrown with every problem of an environment at once; the values of secrets are not repeated. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`invalid configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}
