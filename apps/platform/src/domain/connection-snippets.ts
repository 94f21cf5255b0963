/**
 * @module Ready-made texts that connect an agent to a workspace (contract/platform 7.2). They hold the
 * address and the id and never the token: that is read from `WORKSPACE_AUTH_TOKEN`, and reaches no
 * argument of a program, where everybody on the machine could read it.
 */

export type SnippetFacts = {
  /** http or https, without a trailing slash. */
  readonly platformUrl: string
  readonly workspaceId: string
  /** What a gateway wants with every request; undefined where there is none. */
  readonly orgId: string | undefined
}

/** One word of a POSIX shell. */
function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** Registers once, for an agent that is called (`AGENT_URL`) or that fetches its messages. */
export function curlSnippet({ platformUrl, workspaceId, orgId }: SnippetFacts): string {
  const orgHeader = orgId === undefined ? '' : `-H ${shellWord(`X-Molecule-Org-Id: ${orgId}`)} `
  return `# Registers your agent once. Before:
#   export WORKSPACE_AUTH_TOKEN=...               # auth_token of this answer
#   export AGENT_URL=https://agent.example.org    # only if the platform can call your agent
printf 'Authorization: Bearer %s' "$WORKSPACE_AUTH_TOKEN" |
curl -sS -X POST ${shellWord(`${platformUrl}/registry/register`)} \\
  -H @- -H 'Content-Type: application/json' ${orgHeader}\\
  -d '{"id":"${workspaceId}","agent_card":{"name":"my agent"}'"\${AGENT_URL:+,\\"url\\":\\"$AGENT_URL\\",\\"delivery_mode\\":\\"push\\"}"'}'
`
}

/** This project's own client: any command or local A2A endpoint answers. */
export function connectSnippet({ platformUrl, workspaceId, orgId }: SnippetFacts): string {
  const org = orgId === undefined ? '' : `ATRIUM_ORG_ID=${shellWord(orgId)} `
  return `# Answers messages from this computer; no public address, no tunnel. Before:
#   export WORKSPACE_AUTH_TOKEN=...               # auth_token of this answer
# Your agent is whatever reads a message on standard input and writes the answer.
ATRIUM_TOKEN="$WORKSPACE_AUTH_TOKEN" ${org}\\
atrium --url ${shellWord(platformUrl)} connect ${workspaceId} --exec "\${AGENT_COMMAND:-cat}"
`
}

/** The channel plugin of Claude Code, which polls the activity; not a part of this project. */
export function channelSnippet({ platformUrl, workspaceId }: SnippetFacts): string {
  return `# Messages of this workspace as turns of a Claude Code session (polling, no tunnel). Before:
#   export WORKSPACE_AUTH_TOKEN=...               # auth_token of this answer
#   claude plugin marketplace add https://git.moleculesai.app/molecule-ai/molecule-mcp-claude-channel.git
#   claude plugin install molecule@molecule-channel
# The plugin is not part of this platform; \`atrium connect --exec 'claude -p'\` needs none.
mkdir -p ~/.claude/channels/molecule
(umask 077
{
  printf 'MOLECULE_PLATFORM_URL=%s\\n' ${shellWord(platformUrl)}
  printf 'MOLECULE_WORKSPACE_IDS=%s\\n' ${workspaceId}
  printf 'MOLECULE_WORKSPACE_TOKENS=%s\\n' "$WORKSPACE_AUTH_TOKEN"
} > ~/.claude/channels/molecule/.env)
chmod 600 ~/.claude/channels/molecule/.env
# Then, in this or any later shell: claude
`
}

/** An agent in one file, with nothing but Python's own library. */
export function pythonSnippet({ platformUrl, workspaceId, orgId }: SnippetFacts): string {
  // JSON strings are Python strings as well.
  const org = orgId === undefined ? '' : `, "X-Molecule-Org-Id": ${JSON.stringify(orgId)}`
  return `"""An agent for one workspace: fetches its messages and answers them. Needs Python 3.8, no package.

export WORKSPACE_AUTH_TOKEN=...   # auth_token of this answer
"""
import json, os, threading, time, urllib.error, urllib.request

PLATFORM = ${JSON.stringify(platformUrl)}
WORKSPACE = ${JSON.stringify(workspaceId)}
HEADERS = {"Authorization": "Bearer " + os.environ["WORKSPACE_AUTH_TOKEN"],
           "Content-Type": "application/json"${org}}


def answer(text):
    return "You said: " + text  # your agent goes here


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):  # the token would go along
        return None


OPENER = urllib.request.build_opener(NoRedirect)


def call(method, path, body=None, timeout=70):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(PLATFORM + path, data, HEADERS, method=method)
    with OPENER.open(request, timeout=timeout) as response:
        return json.load(response)


def beat():
    while True:
        time.sleep(30)
        try:
            call("POST", "/registry/heartbeat", {"workspace_id": WORKSPACE}, 10)
        except OSError as error:
            print("no heartbeat:", error)


def handle(row):
    message = ((row.get("request_body") or {}).get("params") or {}).get("message")
    source = row.get("source_id")
    if not message or source == WORKSPACE or row.get("response_body"):
        return
    texts = [part.get("text", "") for part in message.get("parts") or []]
    metadata = message.get("metadata") or {}
    reply = answer("\\n".join(text for text in texts if text))
    if source is None:  # a person; under the same key nobody is told twice
        call("POST", "/workspaces/%s/notify" % WORKSPACE,
             {"message": reply, "idempotency_key": "python:" + row["id"]})
    elif "atrium/in_reply_to" not in metadata:  # an answer is not answered
        call("POST", "/workspaces/%s/a2a" % source, {
            "jsonrpc": "2.0", "id": row["id"], "method": "message/send",
            "params": {"configuration": {"blocking": False}, "message": {
                "kind": "message", "role": "user", "messageId": "answer-" + row["id"],
                "parts": [{"kind": "text", "text": reply}],
                "metadata": {"atrium/in_reply_to": message.get("messageId")}}}})


    end(row, reply)


def end(row, reply):  # for who asked, as soon as they look
    if not row.get("queue_id"):
        return
    try:
        call("POST", "/workspaces/%s/a2a/queue/%s/reply" % (WORKSPACE, row["queue_id"]),
             {"text": reply or " "})
    except urllib.error.HTTPError as refusal:
        if refusal.code not in (404, 409):  # it is over: expired, or answered before
            raise


def main():
    call("POST", "/registry/register", {"id": WORKSPACE, "agent_card": {"name": "my agent"}})
    threading.Thread(target=beat, daemon=True).start()
    feed = "/workspaces/%s/activity?" % WORKSPACE
    newest = call("GET", feed + "limit=1")
    place = "since_id=" + newest[0]["id"] if newest else "from=start"
    print("waiting for messages", flush=True)
    while True:
        try:
            for row in call("GET", feed + "type=a2a_receive&limit=20&wait=50&" + place):
                handle(row)
                place = "since_id=" + row["id"]
        except OSError as error:  # also what urllib raises for a refusal
            print("trying again:", error, flush=True)
            time.sleep(5)


main()
`
}
