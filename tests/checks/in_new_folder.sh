#!/usr/bin/env bash
# in_new_folder.sh program [argument]... - run it in an empty folder that is removed afterwards.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$@"
