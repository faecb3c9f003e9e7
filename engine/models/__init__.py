"""Chat calls to OpenAI-compatible servers. Every call ends as one `Completion` or one `CallFailed`.

client      one model behind its endpoints: a call with slots, retries and events
endpoint    a URL, its key, and the redaction of secrets
connection  the HTTP session, bounded reading of bodies, connection errors in words
reply       from the bytes of a reply to a Completion or a CallFailed
stream      streamed replies: when they are requested, and from their events to one reply
refusal     from an error status and its body to a CallFailed
target      an endpoint as the calls of one model see it; notices of its state
tries       the tries of one call: where it failed, and what counts against its attempts
retry       whether and when a failed call is sent again
limits      slots and start rates: which call goes to which endpoint when
affinity    routing by prompt prefix
health      how many calls an endpoint takes, and whether it is down or disabled
silence     finds servers that stopped answering while calls are in flight
metrics     vLLM's /metrics
context     calls that do not fit into the context of a server, and replies cut short by it
discover    checks an endpoint: reachable, key accepted, model served
tokens      token counts with tiktoken
"""
