#!/bin/bash
# run.sh [CTEST-ARGUMENT...] : all the tests, on a Debian machine as root
#
# Installs what is missing, builds into build/ and runs ctest, with the arguments given:
# "tests/run.sh -L unit" for one kind (HACKING.md has them). Its exit code is ctest's.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)

"$top/tests/deps" all
cmake -S "$top" -B "$top/build" -G Ninja
cmake --build "$top/build"
exec ctest --test-dir "$top/build" --output-on-failure "$@"
