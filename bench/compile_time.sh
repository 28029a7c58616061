#!/usr/bin/env bash
# Measures the compile time of a flow and of other headers: processor time at -O0, the minimum of several rounds that
# take turns, so that other work on the machine affects all equally. (User and system time are added, since the kernel
# divides them by ticks, too roughly for half a second.)
#
#   bench/compile_time.sh [ROUNDS]        CXXS="g++ clang++-16" are the compilers
#
# With a precompiled header (metaflow_precompile in docs/install.md) the two flows are compiled once more. With LIBRARIES, a directory
# that has libmetaflow.a and libmetaflow-cpp.so, a program is linked with each.
#
# The budgets: <metaflow/metaflow.h> costs at most 1.4 times what <string>, <vector>, <map>, <functional> and <memory>
# cost together (g++ 12); a flow of 6 steps and 20 artifacts at most 0.5 s more than the header alone; the smallest flow
# with a precompiled header at most 0.4 times what it costs without.
set -euo pipefail

rounds=${1:-7}
read -ra compilers <<<"${CXXS:-g++ clang++-16}"
include=$(cd "$(dirname "$0")/../include" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

standard='#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>'

write() { printf '%s\n' "$2" >"$work/$1.cc"; }

write 0-empty ''
write 1-standard "$standard"
write 2-iostream '#include <iostream>'
write 3-regex '#include <regex>'
write 4-ranges '#include <ranges>'
write 5-json '#include <nlohmann/json.hpp>'
write 6-cli11 '#include <CLI/CLI.hpp>'
write 7-metaflow '#include <metaflow/metaflow.h>'
write 8-smallest '#include <metaflow/metaflow.h>
namespace mf = metaflow;
struct Smallest : mf::FlowSpec<Smallest> {
  double sum = 0;
  void start() { sum = 1; }
  void end() {}
  static auto graph() {
    return mf::graph(mf::step<&Smallest::start>(mf::next<&Smallest::end>), mf::step<&Smallest::end>());
  }
};
int main(int argc, char** argv) { return mf::run<Smallest>(argc, argv); }'
write 9-flow '#include <metaflow/metaflow.h>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>
namespace mf = metaflow;
enum class Kind { fast, slow };
struct Model {
  std::string name;
  std::vector<double> weights;
  int epochs = 0;
};
struct Training : mf::FlowSpec<Training> {
  mf::Parameter<int> n{{.value = 100, .help = "how many points"}};
  mf::Parameter<std::string> source{{.value = "data.csv", .help = "the file to read"}};
  mf::Parameter<std::vector<double>> rates{{.value = {{0.1, 0.2}}}};
  int count = 0;
  long rows = 0;
  double mean = 0;
  float scale = 1;
  bool ready = false;
  std::string title;
  Kind kind = Kind::fast;
  std::vector<int> sizes;
  std::vector<double> alphas;
  std::vector<std::string> names;
  std::map<std::string, double> scores;
  std::set<int> seen;
  std::pair<int, double> best{};
  std::optional<double> limit;
  Model model;
  mf::Lazy<std::string> report;
  mf::Array<double> trace;
  void start() { alphas = *rates; }
  void prepare() { count = *n; }
  void train(double alpha) { mean = alpha; }
  void join(const mf::Inputs<Training>& inputs) {
    for (double m : inputs.each(&Training::mean)) best.second += m;
  }
  void publish() { title = *source; }
  void end() {}
  static auto graph() {
    using T = Training;
    return mf::graph(mf::step<&T::start>(mf::next<&T::prepare>),
                     mf::step<&T::prepare>(mf::foreach<&T::alphas, &T::train>),
                     mf::step<&T::train>(mf::resources{.cpu = 4, .memory = 8000}, mf::next<&T::join>),
                     mf::step<&T::join>(mf::next<&T::publish>), mf::step<&T::publish>(mf::next<&T::end>),
                     mf::step<&T::end>());
  }
};
int main(int argc, char** argv) { return mf::run<Training>(argc, argv); }'

declare -A label=(
  [0-empty]='an empty file'
  [1-standard]='<string> <vector> <map> <functional> <memory>'
  [2-iostream]='<iostream>'
  [3-regex]='<regex>'
  [4-ranges]='<ranges>'
  [5-json]='<nlohmann/json.hpp>'
  [6-cli11]='<CLI/CLI.hpp>'
  [7-metaflow]='<metaflow/metaflow.h>'
  [8-smallest]='a flow of 2 steps and 1 artifact'
  [9-flow]='a flow of 6 steps and 20 artifacts'
  [p8-smallest]='a flow of 2 steps, header precompiled'
  [p9-flow]='a flow of 6 steps, header precompiled'
  [q-static]='linking it with libmetaflow.a'
  [q-shared]='linking it with libmetaflow-cpp.so'
)

compile() {
  local compiler=$1 source=$2 use=()
  case $source in
    q-static)
      "$compiler" "$work/8-smallest.o" "$LIBRARIES/libmetaflow.a" -l:libnettle.a -l:libyaml-cpp.a -l:libz.a -pthread -o "$work/out"
      return ;;
    q-shared)
      "$compiler" "$work/8-smallest.o" -L"$LIBRARIES" -lmetaflow-cpp -o "$work/out"
      return ;;
    p*) [[ $compiler = *clang* ]] && use=(-include-pch "$work/flow.pch") || use=(-I"$work/precompiled") ;;
  esac
  "$compiler" -std=c++20 -O0 "${use[@]}" -I"$include" -c "$work/${source#p}.cc" -o "$work/out.o"
}
precompile() {
  mkdir -p "$work/precompiled/metaflow"
  local header=$work/precompiled/metaflow/metaflow.h made=$work/flow.pch
  echo "#include \"$include/metaflow/metaflow.h\"" >"$header"
  [[ $1 = *clang* ]] || made=$header.gch
  "$1" -std=c++20 -O0 -I"$include" -x c++-header "$header" -o "$made"
}
# The processor time of one compilation, in seconds.
processor_time() { { TIMEFORMAT='%U %S'; time compile "$1" "$2"; } 2>&1 | awk '{ print $1 + $2 }'; }

for compiler in "${compilers[@]}"; do
  declare -A least=()
  sources=()
  for source in "$work"/*.cc; do
    source=$(basename "$source" .cc)
    case $source in
      5-json | 6-cli11) compile "$compiler" "$source" 2>"$work/errors" || continue ;;  # only where it is installed
      *) compile "$compiler" "$source" ;;
    esac
    sources+=("$source")
  done
  precompile "$compiler"
  sources+=(p8-smallest p9-flow)
  if [ -n "${LIBRARIES:-}" ]; then
    "$compiler" -std=c++20 -O0 -I"$include" -c "$work/8-smallest.cc" -o "$work/8-smallest.o"
    sources+=(q-static)
    [ ! -e "$LIBRARIES/libmetaflow-cpp.so" ] || sources+=(q-shared)
  fi
  for ((round = 0; round < rounds; ++round)); do
    for source in "${sources[@]}"; do
      seconds=$(processor_time "$compiler" "$source")
      least[$source]=$(awk -v a="${least[$source]:-999}" -v b="$seconds" 'BEGIN { print a < b ? a : b }')
    done
  done
  printf '%s\n%-48s %8s %8s %8s\n' "$("$compiler" --version | head -1)" 'processor time at -O0, least of '"$rounds" \
    seconds ratio 'over it'
  for source in "${sources[@]}"; do
    awk -v what="${label[$source]}" -v t="${least[$source]}" -v base="${least[1-standard]}" \
      -v header="${least[7-metaflow]}" -v flow="$([[ $source = [89]-* ]] && echo 1 || echo 0)" \
      'BEGIN { printf "%-48s %8.3f %8.2f %8s\n", what, t, t / base, flow ? sprintf("%+.3f", t - header) : "" }'
  done
  echo
  unset least
done
echo 'ratio: relative to the five standard headers. over it: seconds in addition to <metaflow/metaflow.h> alone.'
