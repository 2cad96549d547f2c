#!/usr/bin/env bash
# CPU seconds of `portcullis scan` and of `rg -c` with the ten most common sshd failure patterns, on the same log, in
# turns, each on one core: `bash benches/compare-rg.sh [BYTES [RUNS]]`.
#
# ripgrep only counts lines; scan also finds addresses, keeps windows and decides. How much ripgrep needs depends on how
# the patterns are written, so there are three files of them: strict ones, anchored at the stamp as a rule is, so that no
# other program's text is counted; plain ones, as people write them for grep; and others that begin with the text that it
# searches fastest (`sshd[…]: Failed`).
#
# Ends with 1 when scan's median is above ripgrep's (Debian: `apt-get install ripgrep`) with any of them.
set -euo pipefail
cd "$(dirname "$0")/.."

bytes=${1:-200000000}
runs=${2:-9}
command -v rg >/dev/null || { echo "compare-rg.sh: ripgrep (rg) is missing" >&2; exit 69; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --release --quiet --bin portcullis --example generate-log
program=${CARGO_TARGET_DIR:-target}/release/portcullis
"${program%/*}/examples/generate-log" "$bytes" >"$work/auth.log"
printf 'version: 1\nrules_dir: %s/rules.d\n' "$work" >"$work/portcullis.yaml"

# one LIST COMMAND…: appends user and system seconds of one run to the list.
one() {
    local list=$1 TIMEFORMAT='%U %S'
    shift
    { time taskset -c 0 "$@" >"$work/out" 2>&1; } 2>&1 | awk '{ printf "%.3f\n", $1 + $2 }' >>"$list"
}

median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

files=(benches/sshd-failures-strict.patterns benches/sshd-failures-plain.patterns benches/sshd-failures.patterns)
for ((run = 0; run < runs; run++)); do
    one "$work/scan" "$program" scan -c "$work/portcullis.yaml" "$work/auth.log"
    for file in "${files[@]}"; do
        one "$work/${file##*/}" rg --threads 1 -c -f "$file" "$work/auth.log"
    done
done
scan=$(median "$work/scan")
lines=$(wc -l <"$work/auth.log")
printf 'log: %s lines, %s bytes; median of %s runs, CPU seconds\n' "$lines" "$(stat -c %s "$work/auth.log")" "$runs"
printf 'portcullis scan  %s  (%s lines a CPU second)\n' "$scan" "$(awk "BEGIN { printf \"%d\", $lines / $scan }")"
result=0
for file in "${files[@]}"; do
    rg=$(median "$work/${file##*/}")
    printf 'rg -c            %s  (%s)\n' "$rg" "${file##*/}"
    awk "BEGIN { exit !($scan <= $rg) }" || result=1
done
exit "$result"
