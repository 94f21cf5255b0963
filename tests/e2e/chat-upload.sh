#!/usr/bin/env bash
# The one end-to-end script for every environment (contract/runtime 16.1): create a workspace, wait
# until it is online, upload a file, read it back byte for byte, and see that nobody gets in without
# a token. Needs bash, curl and node (any version, to read JSON).
#
#   BASE               the platform                                (http://localhost:8080)
#   WORKSPACE_RUNTIME  the runtime kind to create                  (claude-code)
#   WORKSPACE_MODEL    its model                                   (sonnet)
#   ADMIN_TOKEN        sent to the admin routes when it is set
#   POLL_SECONDS       pause between looks at the status, 60 looks (5)
#
# Exit codes: 0 passed; 1 setup (create, never online, token); 2 upload or authentication;
# 3 what was read back differs.
set -uo pipefail

base="${BASE:-http://localhost:8080}"
base="${base%/}"
poll_seconds="${POLL_SECONDS:-5}"
workspace=''
work="$(mktemp -d "${TMPDIR:-/tmp}/atrium-chat-upload.XXXXXX")" || exit 1

# Credentials travel to curl through a pipe, never as arguments: those are public in /proc.
# usage: request TOKEN curl-arguments...
request() {
  local token="$1"
  shift
  if [ -n "$token" ]; then
    printf 'header = "Authorization: Bearer %s"\n' "$token"
  fi | curl --config - --silent --show-error --globoff --max-time 120 "$@"
}

admin() { request "${ADMIN_TOKEN:-}" "$@"; }

# One value of the JSON on standard input; `it` is the document. Empty when it is not there.
json() {
  node -e '
    let text = ""
    process.stdin.on("data", (piece) => { text += piece })
    process.stdin.on("end", () => {
      try {
        const value = new Function("it", `return ${process.argv[1]}`)(JSON.parse(text))
        if (value !== undefined && value !== null) console.log(String(value))
      } catch { process.exitCode = 1 }
    })
  ' "$1"
}

fail() {
  local code="$1"
  shift
  printf 'FAIL  %s\n' "$*" >&2
  exit "$code"
}

pass() { printf 'ok    %s\n' "$*"; }

cleanup() {
  local status=$?
  trap - EXIT
  if [ -n "$workspace" ]; then
    admin --output /dev/null --request DELETE \
      "$base/workspaces/$workspace?confirm=true&purge=true" || true
  fi
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

command -v curl > /dev/null || fail 1 'curl is missing'

# 1. Create. Tier 2, because tier 1 has no /workspace to write to.
body="$(node -e '
  const [name, runtime, model] = process.argv.slice(1)
  console.log(JSON.stringify({ name, runtime, model, tier: 2 }))
' "chat-upload-$$" "${WORKSPACE_RUNTIME:-claude-code}" "${WORKSPACE_MODEL:-sonnet}")" ||
  fail 1 'node is missing'
admin --request POST --header 'Content-Type: application/json' --data "$body" \
  "$base/workspaces" > "$work/created.json" || fail 1 "no platform answers at $base"
workspace="$(json it.id < "$work/created.json")"
[ -n "$workspace" ] || fail 1 "create answered without an id: $(head -c 300 "$work/created.json")"
pass "created $workspace"

# 2. Wait until it is online.
status=''
for ((look = 0; look < 60; look += 1)); do
  status="$(admin "$base/workspaces/$workspace" | json '(it.workspace ?? it).status')"
  [ "$status" = online ] && break
  [ "$status" = failed ] && break
  sleep "$poll_seconds"
done
[ "$status" = online ] || fail 1 "the workspace never came online (last status: ${status:-none})"
pass 'online'

# 3. A token for it.
token="$(admin "$base/admin/workspaces/$workspace/test-token" | json it.auth_token)"
[ -n "$token" ] || fail 1 'no test token was minted'
pass 'minted a workspace token'

# 4. Upload.
printf 'Hello from the chat upload check, %s.\nGrüße, 報告書.\n' "$workspace" > "$work/greeting"
size="$(wc -c < "$work/greeting" | tr -d ' ')"
code="$(request "$token" --output "$work/uploaded.json" --write-out '%{http_code}' \
  --form "files=@$work/greeting;filename=greeting.txt;type=text/plain" \
  "$base/workspaces/$workspace/chat/uploads")" || fail 2 'the upload got no answer'
[ "$code" = 200 ] || fail 2 "upload: status $code, $(head -c 300 "$work/uploaded.json")"
uri="$(json 'it.files[0].uri' < "$work/uploaded.json")"
[ -n "$uri" ] || fail 2 'upload: no uri'
stored_name="$(json 'it.files[0].name' < "$work/uploaded.json")"
[ "$stored_name" = greeting.txt ] || fail 2 "upload: name is $stored_name"
stored_size="$(json 'it.files[0].size' < "$work/uploaded.json")"
[ "$stored_size" = "$size" ] || fail 2 "upload: size is $stored_size, not $size"
pass "uploaded to $uri"

# 5. Read it back, the path as it is in the uri.
code="$(request "$token" --output "$work/back" --write-out '%{http_code}' \
  "$base/workspaces/$workspace/chat/download?path=${uri#workspace:}")" ||
  fail 3 'the download got no answer'
[ "$code" = 200 ] || fail 3 "download: status $code"
cmp -s "$work/greeting" "$work/back" || fail 3 'download: the bytes differ'
pass "read back $size equal bytes"

# 6. Nobody without a token.
code="$(request '' --output /dev/null --write-out '%{http_code}' \
  --form "files=@$work/greeting;filename=greeting.txt;type=text/plain" \
  "$base/workspaces/$workspace/chat/uploads")" || fail 2 'the upload without token got no answer'
[ "$code" = 401 ] || fail 2 "upload without token: status $code, not 401"
pass 'refused without a token'

echo 'PASS'
