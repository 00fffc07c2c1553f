#!/usr/bin/env bash
# Help, version, completion, manual, and every kind of wrong call: exit code 2, and nothing is made.
tree=$(cd "$(dirname "$0")/../.." && pwd)
. "$tree/tests/cli/lib.sh"
commands='put get delete scan load dump stat verify salvage compact checkpoint doctor'

exits 0 "$gyre" --help
for command in $commands; do
    grep -q "^  $command  *[a-z]" out || fail "--help lacks $command"
done
cp out overview
exits 0 "$gyre" help
cmp out overview
exits 0 "$gyre" --version
grep -Eq '^gyre [0-9]+\.[0-9]+\.[0-9]+$' out || fail "version: $(cat out)"
for command in $commands; do
    exits 0 "$gyre" "$command" --help
    grep -q "^usage: gyre $command" out || fail "$command --help has no usage"
    cp out help
    exits 0 "$gyre" help "$command"
    cmp out help
done

# wrong calls
exits 2 "$gyre"
exits 2 "$gyre" frobnicate s
says 'unknown command frobnicate'
for command in put get delete scan load dump stat verify salvage compact checkpoint; do
    exits 2 "$gyre" "$command"
    says 'missing'
    exits 2 "$gyre" "$command" s k v w x y
    says 'one word too many'
    exits 2 "$gyre" "$command" s --frobnicate
    says 'unknown option --frobnicate'
    exits 2 "$gyre" "$command" s -z
done
exits 2 "$gyre" scan s --limit
says '--limit needs an argument'
exits 2 "$gyre" scan s --limit many
says 'not a number'
exits 2 "$gyre" scan s --limit -1
exits 2 "$gyre" scan s --reverse=yes
exits 2 "$gyre" scan s --memory 12Q
says 'not a size'
exits 2 "$gyre" scan s --memory 99999999999999999999T
exits 2 "$gyre" scan s --io ring
says 'auto, uring or blocking'
exits 2 "$gyre" put s k v --options frobnicate=1
says 'frobnicate'
exits 2 "$gyre" put s k v --durability sometimes
exits 2 "$gyre" load s --format xml
exits 2 "$gyre" load s --format paragraphs
says '--key-field'
exits 2 "$gyre" load s --key-field Package
exits 2 "$gyre" load s --batch 0
exits 2 "$gyre" dump s --format xml
exits 2 "$gyre" put s '' v
says 'the key is empty'
exits 2 "$gyre" get s ''
exits 2 "$gyre" put s --hex abc 00
says 'even number'
exits 2 "$gyre" put s --hex zz 00
long=$(head -c 70000 /dev/zero | tr '\0' k)
exits 2 "$gyre" put s "$long" v
says 'the key has 70000 bytes'
exits 2 "$gyre" scan s --prefix "$long"
[ ! -e s ] || fail "a wrong call has made a store"

# completion offers commands, options and file names
. "$tree/tools/completions/gyre"
PATH=$(dirname "$gyre"):$PATH
complete_words() { # WORDS...: the last one is completed
    COMP_WORDS=("$gyre" "$@") COMP_CWORD=$# COMPREPLY=()
    _gyre
    printf '%s\n' "${COMPREPLY[@]}"
}
[ "$(complete_words sal)" = salvage ] || fail "completion of a command"
[ "$(complete_words scan --rev)" = --reverse ] || fail "completion of an option"
[ "$(complete_words load s --format para)" = paragraphs ] || fail "completion of a format"
for command in $commands; do
    complete_words "$command" -- | grep -qx -- --help || fail "completion of $command's options"
    complete_words "${command:0:4}" | grep -qx "$command" || fail "completion lacks $command"
done

# the manual names every option that help lists, and every command
page=$tree/docs/man/gyre.1
for command in $commands; do
    grep -q "^\\.SS .*$command" "$page" || fail "gyre.1 lacks $command"
    "$gyre" "$command" --help | grep -oE '^  --[a-z-]+' | tr -d ' ' | while read -r option; do
        grep -qF -- "${option//-/\\-}" "$page" || fail "gyre.1 lacks $option of $command"
    done
done
