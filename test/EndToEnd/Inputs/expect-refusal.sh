# expect-refusal.sh TEXT COMMAND...: the command exits with 2, prints nothing on standard output and one line with TEXT on standard error.
text=$1; shift
out=$(mktemp); err=$(mktemp); trap 'rm -f "$out" "$err"' EXIT
"$@" >"$out" 2>"$err"; code=$?
if [ $code -ne 2 ] || [ -s "$out" ] || [ "$(wc -l <"$err")" -ne 1 ] || ! grep -qF -- "$text" "$err"; then
  echo "$*: expected exit 2 and one line with: $text; found exit $code:"; cat "$out" "$err"; exit 1
fi
