import 'left-pad' // <- lint/correctness/noUndeclaredDependencies
import 'vitest' // <- lint/correctness/noUndeclaredDependencies
