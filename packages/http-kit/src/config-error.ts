/** @module What a process says when its environment is wrong (H27). */

/** Thrown with every problem of an environment at once; the values of secrets are not repeated. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`invalid configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }

  /** What a schema found, each with the name of its variable. */
  static ofIssues(
    issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
  ): ConfigError {
    return new ConfigError(
      issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`),
    )
  }
}
