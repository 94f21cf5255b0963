#!/usr/bin/env bash
# The whole story, against a running platform: a workspace is created around a small command-line
# tool, gets a message with a CSV file and an image, answers with files, and the files are checked.
#
#   npm start            # in one terminal
#   scripts/demo.sh      # in another; from any folder
#
# BASE (or ATRIUM_URL) names the platform; otherwise the one running out of this project. The tool
# is started by the platform, so the platform has to run on this machine. Exits 0 only when every
# checksum is equal; removes everything it made.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
data="$root/examples/data"
name="demo-$$"
work="$(mktemp -d "${TMPDIR:-/tmp}/atrium-demo.XXXXXX")"
workspace=''

cleanup() {
  status=$?
  trap - EXIT
  # By its name: a creation that was interrupted, or never came online, has told us no id.
  if [ -n "$workspace" ]; then
    atrium workspaces rm "$workspace" --quiet >/dev/null 2>"$work/error" || case $? in
    3 | 5) ;; # there is none; nobody answers, which has been said
    *)
      cat "$work/error" >&2
      if [ "$status" -eq 0 ]; then status=1; fi
      ;;
    esac
  fi
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

atrium() { node "$root/apps/cli/bin/atrium.mjs" "$@"; }

# Shows a command as the reader would type it, then runs it.
run() {
  local word
  printf '\n$'
  for word in "$@"; do
    case "$word" in
      *' '*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done | sed "s|$work/files|answer|g; s|$root/||g"
  printf '\n'
  "$@" > "$work/output"
  sed "s|$work/files|answer|g" "$work/output"
}

# One value out of the JSON in a file: json FILE EXPRESSION, the document being `it`.
json() {
  node -e '
    const it = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"))
    const value = new Function("it", `return ${process.argv[2]}`)(it)
    if (value === undefined || value === null) process.exit(1)
    console.log(value)
  ' "$1" "$2"
}

sha() { sha256sum "$1" | cut -d ' ' -f 1; }

failures=0
compare() {
  local label="$1" original="$2" copy="$3"
  if [ -f "$copy" ] && [ "$(sha "$original")" = "$(sha "$copy")" ]; then
    printf '  equal   %s  %s\n' "$(sha "$original")" "$label"
  else
    printf '  DIFFER  %s\n' "$label"
    failures=$((failures + 1))
  fi
}

echo '1. A workspace around a command-line tool'
tool=(--command "$(node -p process.execPath)" --arg "$root/examples/csv-report/report.mjs")
printf '\n$ atrium workspaces create %s --runtime exec --command node --arg examples/csv-report/report.mjs\n' "$name"
workspace="$name"
atrium workspaces create "$name" --runtime exec "${tool[@]}" --json > "$work/created.json"
printf '%s  online after %s s\n' "$(json "$work/created.json" it.id)" "$(json "$work/created.json" 'it.elapsed_seconds.toFixed(1)')"
run atrium workspaces ls

printf '\n2. A message with a real CSV file and a real image\n'
mkdir "$work/files"
run atrium send "$name" 'Please report on these, and return a copy of each.' \
  --file "$data/measurements.csv" --file "$data/landscape.png" --out "$work/files"

printf '\n3. What came back\n\n'
ls -l "$work/files" | awk 'NR > 1 { printf "  %8d bytes  %s\n", $5, $9 }'
printf '\n'
sed 's/^./  &/' "$work/files/measurements-summary.md"

printf '\n4. One of them once more, by hand, into a pipe\n\n'
printf '$ atrium send %s "a copy, please" --file examples/data/landscape.png --json\n' "$name"
atrium send "$name" 'a copy, please' --file "$data/landscape.png" --json > "$work/again.json"
uri="$(json "$work/again.json" 'it.files.find((file) => file.name === "copy-of-landscape.png").uri')"
printf '$ atrium download %s %s -o - | sha256sum\n' "$name" "$uri"
atrium download "$name" "$uri" -o - > "$work/piped.png"
sha256sum < "$work/piped.png"

printf '\n5. Checksums, original against what travelled there and back\n\n'
compare 'measurements.csv, returned by the tool' "$data/measurements.csv" "$work/files/copy-of-measurements.csv"
compare 'landscape.png, returned by the tool' "$data/landscape.png" "$work/files/copy-of-landscape.png"
compare 'landscape.png, downloaded into a pipe' "$data/landscape.png" "$work/piped.png"

printf '\n$ atrium workspaces rm %s\n' "$name"
atrium workspaces rm "$name"
workspace=''

if [ "$failures" -gt 0 ]; then
  printf '\nThe demo FAILED: %d of 3 checksums differ.\n' "$failures"
  exit 1
fi
printf '\nEverything came back as it was sent.\n'
