type Body = { formData(): unknown; arrayBuffer(): unknown; parseBody(): unknown }

export function readAll(request: Body): unknown[] {
  const all: unknown[] = [request]
  all.push(request.formData()) // <- plugin
  all.push(request.arrayBuffer()) // <- plugin
  all.push(request.parseBody()) // <- plugin
  return all
}
