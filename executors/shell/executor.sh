#!/usr/bin/env bash
# Carries out the tasks of one definition with a command, talking YAML to the service. See README.md.
set -euo pipefail
url=${TASKRPC_URL:-http://127.0.0.1:8080}/rpc
definition=${1:?usage: executor.sh DEFINITION COMMAND [ARGUMENT …]} && shift
execution='' # "id: …" and "execId: …" while a task is held
dir=$(mktemp -d) && trap '[[ $BASHPID != $$ ]] || rm -rf "$dir"' EXIT
exec {never}<> <(:) # to read from it is a sleep that ends with its process
printf '%s\n' 'content-type: text/yaml' 'accept: text/yaml' ${TASKRPC_KEY:+"x-api-key: $TASKRPC_KEY"} >"$dir/headers"

# The status of a process in the background, once it has ended. A signal that comes at the very beginning of a wait is
# heard at its end: so none takes long.
await() {
  while kill -0 "$1" 2>/dev/null; do
    (trap - TERM INT && read -rt 2 -u "$never") & wait -n "$1" $! || :
    kill $! 2>/dev/null || :
  done
  wait "$1"
}

# rpc METHOD PARAMS: leaves the answer in $answer; status 1 is an error of the service, 2 no answer at all.
rpc() {
  local file=$dir/$BASHPID
  printf 'method: awf.task/%s\nparams:\n  %s\n' "$1" "${2//$'\n'/$'\n  '}" >"$file.request"
  # In the background, because a trap waits for what is in the foreground.
  curl --silent --max-time 70 --retry 6 --retry-all-errors --header "@$dir/headers" \
    --data-binary "@$file.request" --output "$file.answer" "$url" &
  await $! || return 2
  answer=$(<"$file.answer")
  [[ $answer == result:* ]] || { echo "$answer" >&2 && return 1; }
}

# A call about the execution. curl repeats it when the connection breaks; its id tells the service so.
change() { rpc "$1" "$execution"$'\n'"callId: '$BASHPID-$RANDOM-$SECONDS'${2:+$'\n'$2}"; }

# As much of a file as a YAML block can hold, below its key.
block() {
  head -c 500000 "$1" | LC_ALL=C tr -d '\000-\010\013-\037\177' | { iconv -c -f UTF-8 -t UTF-8 || :; } | sed 's/^/    /'
}

stop() {
  [[ $BASHPID == $$ ]] || exit 143 # a child, signalled before it had put this trap off
  trap '' TERM INT
  kill $(jobs -p) 2>/dev/null || :
  [[ -z $execution ]] || change release || :
  exit 0
}
trap stop TERM INT

while :; do
  execution=''
  rpc long-poll "timeout: 50000"$'\n'"taskDefinitions: ['$definition']" || { sleep 2 & await $!; continue; }
  # The one resource of the list, moved to the left edge.
  resource=$(awk '!n && /^ *- / { n = index($0, "-") + 1; sub("-", " ") } n { print substr($0, n + 1) }' <<<"$answer")
  execution=$(grep -E '^(id|execId): ' <<<"$resource") && change start || continue
  timeout=$(sed -n 's/^    inProgressTimeout: //p' <<<"$answer")
  "$@" <<<"$resource" >"$dir/output" 2>"$dir/errors" & command=$!
  until read -rt "$((timeout / 3000)).$(printf %03d $((timeout / 3 % 1000)))" -u "$never"; do
    change notify 'notification: heartbeat' || [[ $? == 2 ]] || kill "$command" # the task is not ours any more
  done >/dev/null &
  heartbeat=$! status=0
  await "$command" || status=$?
  kill "$heartbeat" 2>/dev/null || :
  if ((status == 0)); then
    change success $'result:\n  output: |2-\n'"$(block "$dir/output")" || change fail 'error: {message: its output was refused}' || :
  else
    change fail $'error:\n  status: '"$status"$'\n  message: |2-\n'"$(block "$dir/errors")" || :
  fi
done
