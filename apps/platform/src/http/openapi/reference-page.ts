/**
 * @module The API's reference as a page: HTML that is made here, without a script, so that the
 * strictest content security policy holds for it too (ADR-0023).
 */
import type { OpenApiDocument } from './openapi-document.ts'

type Json = Readonly<Record<string, unknown>>

/** The page for a document. */
export function referencePage(document: OpenApiDocument): string {
  const groups = new Map<string, string[]>()
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = String(list(operation['tags'])[0])
      groups.set(tag, [...(groups.get(tag) ?? []), section({ method, path, operation })])
    }
  }
  const tags = [...groups.keys()]
  const title = `${text(document.info['title'])} ${text(document.info['version'])}`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}: API</title><link rel="stylesheet" href="/docs/style.css"></head><body>
<header><h1>${title}</h1><p>${text(document.info['summary'])}</p>
<p>As a document for programs: <a href="/openapi.json">OpenAPI 3.1</a>.</p>
<nav>${tags.map((tag) => `<a href="#${slug(tag)}">${text(tag)}</a>`).join(' ')} <a href="#schemas">Schemas</a></nav></header>
<main>${tags.map((tag) => `<h2 id="${slug(tag)}">${text(tag)}</h2>${groups.get(tag)?.join('')}`).join('')}
<h2 id="schemas">Schemas</h2>${Object.entries(document.components.schemas).map(schemaSection).join('')}</main>
</body></html>
`
}

function section(entry: {
  readonly method: string
  readonly path: string
  readonly operation: Json
}): string {
  const { method, path, operation } = entry
  const security = list(operation['security']).flatMap((each) => Object.keys(object(each)))
  return `<details id="${text(operation['operationId'])}"><summary>
<b class="${text(method)}">${text(method.toUpperCase())}</b> <code>${text(path)}</code> ${text(operation['summary'])}</summary>
${paragraph(operation['description'])}
<p>Credential: ${security.length === 0 ? 'none' : security.map((name) => `<code>${text(name)}</code>`).join(' or ')}</p>
${parameterTable(list(operation['parameters']))}
${bodyBlock('Request', object(operation['requestBody']))}
${Object.entries(object(operation['responses']))
  .map(([status, answer]) => answerBlock(status, object(answer)))
  .join('')}
</details>`
}

function parameterTable(parameters: readonly unknown[]): string {
  if (parameters.length === 0) return ''
  const rows = parameters.map(object).map((parameter) => {
    const must = parameter['required'] === true ? 'required' : ''
    return `<tr><td><code>${text(parameter['name'])}</code></td><td>${text(parameter['in'])}</td><td>${must}</td><td><code>${schemaText(parameter['schema'])}</code></td><td>${text(parameter['description'] ?? '')}</td></tr>`
  })
  return `<table><tr><th>Parameter</th><th>in</th><th></th><th>Schema</th><th></th></tr>${rows.join('')}</table>`
}

function answerBlock(status: string, answer: Json): string {
  // Every failure looks alike: its codes and words are what there is to know.
  if (Number(status) >= 400) {
    const lines = text(answer['description']).split('\n\n').map(code)
    return `<h4>${text(status)}</h4><ul>${lines.map((line) => `<li>${line}</li>`).join('')}</ul>`
  }
  return `<h4>${text(status)}: ${code(text(answer['description']))}</h4>${bodyBlock('', answer)}`
}

function bodyBlock(title: string, body: Json): string {
  const blocks = Object.entries(object(body['content']))
    .map(([type, of]) => [type, object(of)] as const)
    .map(
      ([type, { schema }]) =>
        `<p><code>${text(type)}</code></p>${Object.keys(object(schema)).length === 0 ? '' : `<pre>${schemaText(schema, 2)}</pre>`}`,
    )
  return `${title === '' || blocks.length === 0 ? '' : `<h4>${title}</h4>`}${blocks.join('')}`
}

function schemaSection([name, schema]: readonly [string, unknown]): string {
  return `<details id="schema-${slug(name)}"><summary><code>${text(name)}</code></summary><pre>${schemaText(schema, 2)}</pre></details>`
}

/** References lead to the schema. */
function schemaText(schema: unknown, indent = 0): string {
  return text(JSON.stringify(schema, null, indent) ?? '').replaceAll(
    /#\/components\/schemas\/([A-Za-z]+)/g,
    (_, name: string) => `<a href="#schema-${slug(name)}">${name}</a>`,
  )
}

function paragraph(words: unknown): string {
  return words === undefined ? '' : `<p>${code(text(words))}</p>`
}

function code(escaped: string): string {
  return escaped.replaceAll(/`([^`]+)`/g, '<code>$1</code>')
}

function slug(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z]+/g, '-')
}

function text(value: unknown): string {
  return String(value)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export const REFERENCE_STYLE = `:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
nav a { margin-right: .75rem; }
details { border-top: 1px solid #8884; padding: .4rem 0; }
summary { cursor: pointer; }
details[open] > summary { font-weight: 600; }
summary b { display: inline-block; min-width: 4rem; }
.get { color: #2a7; } .post { color: #27c; } .patch { color: #a71; } .delete { color: #c33; }
pre { overflow-x: auto; background: #8881; padding: .75rem; border-radius: .25rem; }
code { font-size: .9em; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { text-align: left; padding: .2rem .75rem .2rem 0; vertical-align: top; }
h4 { margin: .75rem 0 .25rem; }
`
