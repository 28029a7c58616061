// expect: metaflow: this class is not a plain struct (it has a constructor, private members or virtual functions)
// names: account
#include <metaflow/metaflow.h>

namespace mf = metaflow;

class Account {
 public:
  void deposit(int amount) { balance_ += amount; }

 private:
  int balance_ = 0;
};

struct Sweep : mf::FlowSpec<Sweep> {
  Account account;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
