// Two parallel steps, then a join that reads both.
#include <metaflow/metaflow.h>

#include <cstdio>
#include <map>
#include <string>

namespace mf = metaflow;

struct Branches : mf::FlowSpec<Branches> {
  static constexpr auto doc = "Counts the vowels and the words of a text in parallel.";

  mf::Parameter<std::string> text{{.value = "the quick brown fox jumps over the lazy dog", .help = "What to count."}};
  std::map<std::string, int> vowels;
  int words = 0;
  std::string summary;

  void start() {}

  void count_vowels() {
    for (char c : *text) {
      if (std::string("aeiou").find(c) != std::string::npos) ++vowels[std::string(1, c)];
    }
  }

  void count_words() {
    bool inside = false;
    for (char c : *text) {
      if (c != ' ' && !inside) ++words;
      inside = c != ' ';
    }
  }

  // Each branch changed another artifact, so both are carried over without a manual merge.
  void join(const mf::Inputs<Branches>& inputs) {
    inputs.merge(*this);
    summary = std::to_string(words) + " words, " + std::to_string(vowels["o"]) + " times o";
  }

  void end() { std::printf("%s\n", summary.c_str()); }

  static auto graph() {
    using B = Branches;
    return mf::graph(mf::step<&B::start>(mf::next<&B::count_vowels, &B::count_words>),
                     mf::step<&B::count_vowels>(mf::next<&B::join>), mf::step<&B::count_words>(mf::next<&B::join>),
                     mf::step<&B::join>(mf::next<&B::end>), mf::step<&B::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Branches>(argc, argv); }
