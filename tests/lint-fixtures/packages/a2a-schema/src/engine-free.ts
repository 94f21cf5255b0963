import 'node:fs' // <- lint/correctness/noNodejsModules
import 'node:crypto' // <- lint/correctness/noNodejsModules
