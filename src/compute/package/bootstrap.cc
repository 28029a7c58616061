#include "compute/package/bootstrap.h"

namespace metaflow::compute {

namespace {

// Errors of downloaders are not shown, since they may contain the link. If one fails, the next one is tried: a curl
// without certificate authorities does not end it.
constexpr const char* kFetch = R"sh(say() { echo "metaflow bootstrap: $*" >&2; }
die() { status=$1; shift; say "$@"; exit "$status"; }
have() { command -v "$1" >/dev/null 2>&1; }
with_curl() { have curl && found=1 && printf 'url = "%s"\n' "$MF_URL" | curl -fsSL --connect-timeout 20 -o "$1" -K -; }
with_wget() {
  have wget || return 1
  case $(wget --version 2>/dev/null) in *GNU*) ;; *) return 1 ;; esac
  found=1
  printf '%s\n' "$MF_URL" | wget -q -t 1 -T 60 -O "$1" -i - 2>/dev/null
}
with_python() {
  have python3 && found=1 && python3 -c 'import os, shutil, sys, urllib.request
with urllib.request.urlopen(os.environ["MF_URL"], timeout=60) as source, open(sys.argv[1], "wb") as target:
    shutil.copyfileobj(source, target)' "$1" 2>/dev/null
}
with_bash() {
  case $MF_URL in http://*) ;; *) return 1 ;; esac
  have bash && have cat && found=1 && bash -c 'rest=${MF_URL#http://}; host=${rest%%/*}; port=${host##*:}
[ "$port" = "$host" ] && port=80
exec 3<>"/dev/tcp/${host%%:*}/$port" || exit 1
printf "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n" "${rest#*/}" "$host" >&3
IFS= read -r line <&3
case $line in "HTTP/1."?" 200"*) ;; *) exit 1 ;; esac
while IFS= read -r line <&3 && [ "$line" != $'\''\r'\'' ]; do :; done
cat <&3' >"$1" 2>/dev/null
}
with_busybox() {
  if have busybox && busybox wget --help >/dev/null 2>&1; then
    found=1
    busybox wget -q -O "$1" "$MF_URL" 2>/dev/null
  elif have wget; then
    case $(wget --version 2>/dev/null) in *GNU*) return 1 ;; esac
    found=1
    wget -q -O "$1" "$MF_URL" 2>/dev/null
  else
    return 1
  fi
}
sum_of() {
  if have sha256sum; then sha256sum "$1"
  elif have busybox && busybox sha256sum "$1" 2>/dev/null; then :
  elif have openssl; then openssl dgst -sha256 -r "$1"
  elif have shasum; then shasum -a 256 "$1"
  elif have python3; then python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"
  else return 1
  fi
}
unpack() {
  if have tar && tar -xzf "$1" -C "$2" 2>/dev/null; then return 0; fi
  if have busybox && busybox tar -xzf "$1" -C "$2" 2>/dev/null; then return 0; fi
  have python3 && python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$1" "$2"
}
fetch() {
  tries=${MF_TRIES:-6} try=0
  while :; do
    try=$((try + 1)) found= why='the download failed'
    if with_curl "$1" || with_wget "$1" || with_python "$1" || with_bash "$1" || with_busybox "$1"; then
      sum=$(sum_of "$1") || die 96 'nothing in this image computes SHA-256: none of sha256sum, busybox, openssl, shasum, python3'
      [ "${sum%% *}" = "$MF_SHA256" ] && return 0
      why='the checksum is wrong'
    elif [ -z "$found" ]; then
      die 96 "no downloader for ${MF_URL%%:*} in this image: none of curl, wget, python3, busybox, or for http bash"
    fi
    [ "$try" -lt "$tries" ] || die 97 "could not fetch the package: $why ($try times)"
    say "$why; retrying in ${MF_PAUSE:-10} s"
    sleep "${MF_PAUSE:-10}"
  done
}
if [ -n "$MF_MACHINE" ] && have uname && [ "$(uname -m)" != "$MF_MACHINE" ]; then
  die 96 "the flow was built for $MF_MACHINE, but this host is $(uname -m)"
fi
)sh";

// Uses a directory of the user: in a shared one, another user of the host could put a program. The package appears as a
// whole, by a rename.
constexpr const char* kBecome = R"sh(dir=$MF_DIR
if [ -z "$dir" ]; then
  dir=${TMPDIR:-/tmp}
  [ -d "$dir" ] && [ -w "$dir" ] || dir=/tmp
  dir=$dir/.metaflow-$(id -u)
  (umask 077 && mkdir -p "$dir") 2>/dev/null
  [ -O "$dir" ] && [ ! -L "$dir" ] && chmod 700 "$dir" || die 96 "cannot use $dir: it is a link or belongs to another user; set MF_DIR"
fi
home=$dir/$MF_SHA256 new=$dir/.new.$$
if [ -e "$home" ] || [ -L "$home" ]; then
  [ -O "$home" ] && [ ! -L "$home" ] || die 96 "$home is a link or belongs to another user; remove it, or set MF_DIR to a directory of your own"
  case $(ls -ld "$home" 2>/dev/null) in
    ?????w*|????????w*) die 96 "others can write in $home; remove it, or set MF_DIR to a directory of your own" ;;
  esac
fi
if [ ! -d "$home" ]; then
  mkdir -p "$new" 2>/dev/null || die 96 "cannot write in $dir; set MF_DIR to a directory that can be written"
  fetch "$new/package"
  (umask 022 && mkdir "$new/home" && unpack "$new/package" "$new/home") || die 96 "cannot unpack the package in $dir: no tar with gzip and no python3, or no space"
  mv "$new/home" "$home" 2>/dev/null
  rm -rf "$new" "$home/home"
  [ -d "$home" ] || die 96 "cannot rename in $dir"
fi
unset MF_URL MF_SHA256 MF_MACHINE MF_DIR MF_TRIES MF_PAUSE
[ -x "$home/bin/flow" ] || die 96 "nothing can be executed in $dir (noexec); set MF_DIR"
[ -e "$home/lib/ld.so" ] || exec "$home/bin/flow" "$@"
exec "$home/lib/ld.so" --library-path "$home/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$home/bin/flow" "$@"
)sh";

constexpr const char* kInstall = R"sh([ -d "$MF_DIR" ] && [ -w "$MF_DIR" ] || die 96 "cannot write in MF_DIR ($MF_DIR)"
[ ! -e "$MF_DIR/bin/flow" ] || exit 0
fetch "$MF_DIR/.package"
unpack "$MF_DIR/.package" "$MF_DIR" || die 96 "cannot unpack the package in $MF_DIR: no tar with gzip and no python3, or no space"
rm -f "$MF_DIR/.package"
)sh";

}  // namespace

const std::string& bootstrap_script() {
  static const std::string kText = std::string(kFetch) + kBecome;
  return kText;
}

const std::string& install_script() {
  static const std::string kText = std::string(kFetch) + kInstall;
  return kText;
}

std::vector<std::string> bootstrap_command(const std::vector<std::string>& arguments) {
  std::vector<std::string> command{"sh", "-c", bootstrap_script(), "metaflow"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

}  // namespace metaflow::compute
