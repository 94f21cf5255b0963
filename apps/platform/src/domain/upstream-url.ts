/** @module Addresses below a workspace's endpoint. */

/** `<endpoint without trailing slash><path>?<query>` as one URL. */
export function urlBelow(
  endpoint: URL,
  path: string,
  query: Readonly<Record<string, string>> = {},
): URL {
  const url = new URL(endpoint)
  url.pathname = `${endpoint.pathname.replace(/\/+$/, '')}${path}`
  // URLSearchParams, so that `% + & # ?` in a path survive the second hop.
  url.search = new URLSearchParams({ ...query }).toString()
  url.hash = ''
  return url
}
