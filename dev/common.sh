# Shared by the dev commands: paths, and functions that install missing packages. Sourced, not executed.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${METAFLOW_BUILD_DIR:-$top/build}
jobs=$(nproc)
# ccache needs these settings for precompiled headers: https://ccache.dev/manual/4.7.5.html#_precompiled_headers
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
# Clones and work trees share the cache.
export CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    echo "Please install these Debian packages as root, then start again: $*" >&2; exit 1; fi
}

# Installs missing Debian packages.
need_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  echo "Installing ${missing[*]} ..."
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

build_packages=(g++ cmake ninja-build nlohmann-json3-dev libfmt-dev nettle-dev libyaml-cpp-dev zlib1g-dev libcurl4-openssl-dev)
test_packages=(ccache clang-16 libclang-rt-16-dev lld-16 libgtest-dev libgmock-dev pkg-config git python3 python3-venv binutils procps gdb chromium
               openssl radosgw ceph-mon ceph-osd ceph-common libcurl4 ca-certificates busybox-static musl curl wget docker.io)
# For the Kubernetes peer (test/peers/kubernetes): the server, the schema of Kubernetes, and the official client to test it with. Clients
# from 33 on need a newer python-dateutil than metaflow allows.
kubernetes_peer=('aiohttp>=3.9' pyyaml kubernetes-validate==1.37.0 'kubernetes~=32.0')
test_python=(metaflow 'numpy>=2' pytest pytest-xdist 'moto[server,s3,sts,batch,logs,iam,ec2]' boto3 "${kubernetes_peer[@]}")
check_packages=(git clang-16 clang-format-16 python3 python3-venv)
docs_packages=(doxygen python3 python3-venv)
docs_python=('mkdocs-material==9.8.2' 'mkdocs==1.6.1')
bench_packages=(radosgw ceph-mon ceph-osd ceph-common rclone openssl busybox-static libbenchmark-dev libtbb-dev make parallel python3 python3-venv)

# need_python NAME PACKAGE...: creates a Python environment with these packages. Its interpreter is $build/python/NAME/bin/python.
need_python() {
  local directory="$build/python/$1" stamp
  shift
  stamp=$(printf '%s ' "$@")
  if [ "$(cat "$directory/stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "Installing $stamp from PyPI ..."
    rm -rf "$directory"
    python3 -m venv "$directory"
    "$directory/bin/pip" -q --disable-pip-version-check install uv
    "$directory/bin/uv" -q pip install --compile-bytecode --python "$directory/bin/python" "$@"
    echo "$stamp" >"$directory/stamp"
  fi
}

# The release for the tests, with the options of distributions. A unity build is faster from scratch; the other compiles each source alone.
each_alone=(-DCMAKE_BUILD_TYPE=Release '-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG')
release=("${each_alone[@]}" -DMETAFLOW_UNITY=ON)

# configure NAME [CMAKE ARGUMENT...]: configures the build tree $build/NAME.
configure() {
  local name=$1
  shift
  local launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER="$top/dev/ccache")
  cmake -S "$top" -B "$build/$name" -G Ninja "${launcher[@]}" "$@" >"$build/$name.configure.log" 2>&1 || { cat "$build/$name.configure.log" >&2; exit 1; }
}
