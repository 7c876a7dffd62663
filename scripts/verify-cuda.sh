#!/usr/bin/env bash
# Verifies the CUDA backend on a machine with a GPU, from the archive that scripts/verify-cuda.mjs packed.
#
#   bash scripts/verify-cuda.sh tests      C++ tests, then every test body of the backends (a few minutes)
#   bash scripts/verify-cuda.sh sanitize   memcheck, racecheck, synccheck over the C++ tests
#   bash scripts/verify-cuda.sh bench      kernels by device events with their floors, PyTorch and JAX, MNIST
#   bash scripts/verify-cuda.sh all
#
# Needs python3 (to unpack); compute-sanitizer for `sanitize`. Writes $OUT/<date>-<part>.md, to be committed to
# native/cuda/results/; ends with status 1 if anything failed.
set -uo pipefail
cd "$(dirname "$0")/.."
part=${1:-all}
case $part in tests | sanitize | bench | all) ;; *)
  echo "Expected tests, sanitize, bench or all but received $part" >&2
  exit 2
  ;;
esac
archive=$PWD/build/verify-cuda.tar.xz
if [ ! -f "$archive" ]; then
  echo "Expected $archive: node scripts/verify-cuda.mjs makes it, on a machine that has Node" >&2
  exit 2
fi
out=$(mkdir -p "${OUT:-build/verify-cuda-results}" && cd "${OUT:-build/verify-cuda-results}" && pwd)
sum=$(sha256sum "$archive" | cut -c1-12)
work=${TMPDIR:-/tmp}/local-entropy-$sum
if [ ! -f "$work/.complete" ]; then
  rm -rf "$work" && mkdir -p "$work" || exit 2
  python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1], "r:xz").extractall(sys.argv[2])' "$archive" "$work" || exit 2
  touch "$work/.complete"
fi
cd "$work" || exit 2
export PATH=$work/bin:$PATH
result=$out/$(date -u +%Y-%m-%d-%H%M)-$part.md
failed=0

# A section of the result: its title, then a command with its output (at most 400 lines of it).
section() {
  local title=$1 log
  shift
  log=$(mktemp)
  echo "== $title"
  "$@" >"$log" 2>&1
  local status=$?
  [ $status -eq 0 ] || failed=1
  {
    echo
    echo "## $title"
    echo
    echo "Status $status after: \`$*\`"
    echo
    echo '```'
    tail -n 400 "$log"
    echo '```'
  } >>"$result"
  tail -n 15 "$log"
  rm -f "$log"
}

{
  echo "# CUDA verification, $(date -u +%Y-%m-%d), $part"
  echo
  echo "Archive $sum. $(nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader 2>&1 | head -n 1)"
  echo "Node $(node --version), $(nproc) processors."
} >"$result"

if [ "$part" = tests ] || [ "$part" = all ]; then
  # Without it every test of CUDA below would be a skip.
  section "CUDA opens" bash -c 'node dist/cli/main.js doctor | tee /dev/stderr | grep -q "✓ cuda"'
  section "C++ tests on the GPU" build/cuda/cuda-test --vectors test/vectors
  mapfile -t files <tests.txt
  # Real skips only: the archive has no instruction set that this processor lacks, and no host shim.
  section "Test bodies of every backend" env LOCAL_ENTROPY_TESTS=all node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js \
    --config jest.config.json --ci --verbose --runInBand --testTimeout 60000 "${files[@]}"
fi
if [ "$part" = sanitize ] || [ "$part" = all ]; then
  for tool in memcheck racecheck synccheck; do
    section "compute-sanitizer, $tool" timeout 500 compute-sanitizer --tool $tool --error-exitcode 9 \
      build/cuda/cuda-test --vectors test/vectors
  done
fi
if [ "$part" = bench ] || [ "$part" = all ]; then
  section "Kernels, by device events" build/cuda/cuda-test --bench
  section "The direct formulation in PyTorch and JAX" python3 scripts/verify-cuda-peers.py
  section "MNIST, gradient-free" node scripts/verify-cuda-training.mjs
fi
echo "$result, status $failed"
exit $failed
