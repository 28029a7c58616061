# Shared by the dev commands: paths, and functions that install missing packages. Sourced, not executed.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${METAFLOW_BUILD_DIR:-$top/build}
jobs=$(nproc)
# ccache needs these settings for precompiled headers: https://ccache.dev/manual/4.7.5.html#_precompiled_headers
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
# Clones and work trees share the cache.
export CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1

# expect_arguments PATTERN ARGUMENT...: prints the comment of the script for --help, or its usage if an argument does not match. Called
# before packages are installed, which takes minutes.
expect_arguments() {
  local pattern=$1 argument
  for argument in "${@:2}"; do
    if [[ $argument =~ ^(-h|--help)$ ]]; then sed -n '2,/^[^#]/s/^# \?//p' "$0"; exit 0; fi
    [[ $argument =~ ^($pattern)$ ]] || { sed -n 's/^# usage:/usage:/p' "$0" >&2; exit 2; }
  done
}

# Whether this user is root, or may become root: sudo needs no password, or asks for it on a terminal, once.
is_sudoer=
can_be_root() {
  [ "$(id -u)" != 0 ] || return 0
  if [ -z "$is_sudoer" ]; then
    is_sudoer=no
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then is_sudoer=yes; fi
  fi
  [ $is_sudoer = yes ]
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Sets `missing` to the Debian packages that are not installed. Without dpkg it is empty: the build finds what is missing.
find_missing() {
  missing=()
  command -v dpkg-query >/dev/null || return 0
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
}

# Installs `missing`. Fails if this user cannot.
install_missing() {
  can_be_root && command -v apt-get >/dev/null || return 1
  echo "Installing ${missing[*]} ..."
  as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_packages PACKAGE...: installs missing Debian packages, or ends with the command for the administrator.
need_packages() {
  find_missing "$@"
  [ ${#missing[@]} = 0 ] || install_missing || {
    printf '%s\n' "These Debian packages are missing, and this user cannot install them." "The administrator can:" "" \
      "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" "" "Then start ${0} again: it will not need root." >&2
    exit 1
  }
}

# want_packages PART PACKAGE...: the same for a part of the tests. If the packages cannot be had, this part is left out,
# which is an error if METAFLOW_REQUIRE_ALL=1. `left_out` names the parts.
left_out=()
want_packages() {
  local part=$1
  find_missing "${@:2}"
  [ ${#missing[@]} = 0 ] || install_missing || {
    [ "${METAFLOW_REQUIRE_ALL:-0}" != 1 ] || need_packages "${missing[@]}"
    echo "LEFT OUT: $part. Missing packages: ${missing[*]}" >&2
    left_out+=("$part")
  }
}

# The certificate authorities of this machine, with those of a company. pip and uv have their own list otherwise. pip
# prefers REQUESTS_CA_BUNDLE to PIP_CERT.
authorities=${SSL_CERT_FILE:-${PIP_CERT:-${REQUESTS_CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}}}
with_authorities() {
  local variables=()
  [ ! -r "$authorities" ] || variables=("SSL_CERT_FILE=$authorities" "PIP_CERT=$authorities" "REQUESTS_CA_BUNDLE=$authorities")
  env "${variables[@]}" "$@"
}

build_packages=(g++ cmake make ninja-build nlohmann-json3-dev libfmt-dev nettle-dev libyaml-cpp-dev zlib1g-dev libcurl4-openssl-dev)
test_packages=(libgtest-dev libgmock-dev pkg-config git python3 python3-venv binutils procps openssl libcurl4 ca-certificates dpkg-dev file)
# The packages of parts of the tests, which can be left out: "part: packages".
test_parts=(
  "fast rebuilds: ccache"
  "clang and the sanitizers: clang-16 libclang-rt-16-dev lld-16"
  "S3 with Ceph: radosgw ceph-mon ceph-osd ceph-common"
  "AWS Batch with Docker: docker.io"
  "containers and the package: busybox-static musl curl wget"
  "the page of timeline in a browser: chromium"
  "debug with gdb: gdb"
  "completion in zsh and fish: zsh fish"
  "manual pages: mandoc"
  "the memory of a scheduler: time"
)
# For the Kubernetes peer (test/peers/kubernetes): the server, the schema of Kubernetes, and the official client to test it with. Clients
# from 33 on need a newer python-dateutil than metaflow allows.
kubernetes_peer=('aiohttp>=3.9' pyyaml kubernetes-validate==1.37.0 'kubernetes~=32.0')
test_python=(metaflow 'numpy>=2' pandas pytest pytest-xdist 'moto[server,s3,sts,batch,logs,iam,ec2]' boto3 "${kubernetes_peer[@]}")
check_packages=(git clang-16 clang-format-16 python3 python3-venv)
docs_packages=(doxygen python3 python3-venv)
docs_python=('mkdocs-material==9.8.2' 'mkdocs==1.6.1')
bench_packages=(radosgw ceph-mon ceph-osd ceph-common rclone openssl busybox-static libbenchmark-dev libtbb-dev make parallel python3 python3-venv)

# need_test_packages: what all tests need, and the parts that can be had.
need_test_packages() {
  need_packages "${build_packages[@]}" "${test_packages[@]}"
  local part
  # One installation for all parts; if it is not possible, the missing parts are named.
  find_missing $(printf '%s\n' "${test_parts[@]#*: }")
  [ ${#missing[@]} = 0 ] || install_missing || true
  for part in "${test_parts[@]}"; do want_packages "${part%%:*}" ${part#*: }; done
}

# need_python NAME PACKAGE...: creates a Python environment with these packages. Its interpreter is $build/python/NAME/bin/python.
need_python() {
  local directory="$build/python/$1" stamp
  shift
  stamp=$(printf '%s ' "$@")
  if [ "$(cat "$directory/stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "Installing $stamp from PyPI ..."
    rm -rf "$directory"
    python3 -m venv "$directory"
    with_authorities "$directory/bin/pip" -q --disable-pip-version-check install uv
    with_authorities "$directory/bin/uv" -q pip install --compile-bytecode --python "$directory/bin/python" "$@"
    echo "$stamp" >"$directory/stamp"
  fi
}

# configure NAME [CMAKE ARGUMENT...]: configures the build tree $build/NAME with the preset of this name (CMakePresets.json).
configure() {
  local name=$1
  shift
  local launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER="$top/dev/ccache")
  cmake -S "$top" -B "$build/$name" --preset "$name" "${launcher[@]}" "$@" >"$build/$name.configure.log" 2>&1 || { cat "$build/$name.configure.log" >&2; exit 1; }
}
