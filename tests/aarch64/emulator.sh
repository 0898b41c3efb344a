# An emulated ARM processor without root or installation: sourced by the scripts beside it, which set `work`, a scratch
# folder. Gives `kept`, `cache`, `root` (an arm64 Debian), `interpreter`, `version` (of its Python) and `prefix_of`.
# What is downloaded is kept in EDGE_APP_ARM64_CACHE (.cache/aarch64), each part in a folder named after all that it
# depends on. EDGE_APP_ARM64_MIRROR and EDGE_APP_ARM64_SUITE name another mirror or Debian release than the machine's own.
cache=${EDGE_APP_ARM64_CACHE:-$PWD/.cache/aarch64}

missing=()
command -v qemu-aarch64-static > /dev/null || missing+=(qemu-user-static)
command -v mmdebstrap > /dev/null || missing+=(mmdebstrap)
[ "$(id -u)" = 0 ] || command -v newuidmap > /dev/null || missing+=(uidmap)
if [ ${#missing[@]} -gt 0 ]; then
  echo "this needs ${missing[*]}: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 77
fi

# A folder of the cache is made aside and renamed: it is whole or it is not there. What was not used for two weeks goes.
kept() {  # NAME KEY COMMAND...: prints the folder; COMMAND gets its path
  local folder=$cache/$1-$(echo "$2" | sha256sum | cut -c 1-16)
  shift 2
  if [ ! -d "$folder" ]; then
    rm -rf "$folder.new"
    "$@" "$folder.new" >&2
    mv "$folder.new" "$folder"
  fi
  touch "$folder"
  echo "$folder"
}
mkdir -p "$cache"
find "$cache" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf {} +

# Natively what takes an emulated processor ten times as long. Another Python's bytecode would be ignored and made anew.
compile_natively() {  # OPTIONS OF COMPILEALL, FOLDERS...
  "$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" || return 0
  "$python" -m compileall -q "$@" > /dev/null || true
}

debian_packages=python3-minimal,libpython3-stdlib,libstdc++6,libgcc-s1,zlib1g
suite=${EDGE_APP_ARM64_SUITE:-$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")}
mirror=${EDGE_APP_ARM64_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 debian || true)}
# shellcheck disable=SC2086
make_root() { mmdebstrap --quiet --mode=auto --variant=extract --architectures=arm64 --include=$debian_packages "$suite" "$1" $mirror; }
root=$(kept root "$debian_packages $suite $mirror" make_root)
interpreter=$(echo "$root"/usr/bin/python3.*)
version=${interpreter##*python}

cpuinfo() {  # PART FEATURES: what /proc/cpuinfo says on that board; TFLite's kernels are chosen by it
  for core in 0 1 2 3; do
    printf 'processor\t: %s\nBogoMIPS\t: 108.00\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\n' "$core" "$2"
    printf 'CPU variant\t: 0x0\nCPU part\t: %s\nCPU revision\t: 3\n\n' "$1"
  done
}

prefix_of() {  # CPU: makes what the emulated program sees of the system; prints its folder
  local prefix=$work/$1
  mkdir -p "$prefix/proc"
  ln -s "$root/lib" "$root/usr" "$prefix"  # and nothing else: what is there hides the machine's own
  case $1 in
    cortex-a72) cpuinfo 0xd08 "fp asimd evtstrm crc32 cpuid" ;;
    cortex-a76) cpuinfo 0xd0b "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp" ;;
    *) echo "$1: expected cortex-a72 or cortex-a76" >&2 && exit 2 ;;
  esac > "$prefix/proc/cpuinfo"
  echo "$prefix"
}
