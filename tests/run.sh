#!/bin/bash
# run.sh [CTEST-ARGUMENT...] : all the tests, on a Debian machine as root
#
# Installs what is missing, builds into build/ and runs ctest, with the arguments given:
# "tests/run.sh -L unit" for one kind (HACKING.md has them). Its exit code is ctest's.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)

"$top/tests/deps" all
# A build folder that is there keeps its generator: cmake refuses another.
generator=(-G Ninja)
[ ! -f "$top/build/CMakeCache.txt" ] || generator=()
cmake -S "$top" -B "$top/build" "${generator[@]}"
cmake --build "$top/build" --parallel "$(nproc)"
exec ctest --test-dir "$top/build" --output-on-failure "$@"
