// Joins: what is carried over by itself, and what inputs.merge() says about conflicts.
#include <metaflow/metaflow.h>

#include <string>
#include <vector>

namespace mf = metaflow;

namespace {

enum class How { nothing, all, resolved, include, exclude, include_conflict, not_this };

struct Merge : mf::FlowSpec<Merge> {
  mf::Parameter<How> how{{.value = How::nothing, .help = "What the join does."}};
  const std::string constant = "same";
  std::string before{"set before the split"};
  std::string by_left{"initial"};
  std::string by_right{"initial"};
  std::string by_both_alike{"initial"};
  std::string conflict{"initial"};
  std::vector<int> list_conflict;
  mf::Lazy<std::string> lazy_by_left{"initial"};
  mf::Array<int> array_by_right;
  mf::Array<int> array_conflict;
  mf::Transient<int> transient{3};
  std::string left_only;

  void start() {
    before = "set in start";
    array_by_right = {1};
    array_conflict = {1};
  }
  void left() {
    by_left = "left";
    by_both_alike = "both";
    conflict = "left";
    list_conflict = {1};
    lazy_by_left.edit() = "left";
    array_conflict.edit()[0] = 2;
    left_only = "left";
    *transient = 4;
  }
  void right() {
    by_right = "right";
    by_both_alike = "both";
    conflict = "right";
    list_conflict = {2};
    array_by_right.edit()[0] = 7;
    array_conflict.edit()[0] = 3;
  }
  void join(const mf::Inputs<Merge>& inputs) {
    using M = Merge;
    switch (*how) {
      case How::nothing: break;
      case How::all: inputs.merge(*this); break;
      case How::resolved:
        conflict = inputs[0].conflict + inputs[1].conflict;
        list_conflict = inputs.at<&M::right>().list_conflict;
        array_conflict = inputs.at<&M::left>().array_conflict;
        inputs.merge(*this);
        break;
      case How::include: inputs.merge(*this, mf::include(&M::by_left, &M::lazy_by_left)); break;
      case How::exclude:
        inputs.merge(*this, mf::exclude(&M::conflict, &M::list_conflict, &M::array_conflict, &M::by_right));
        break;
      case How::include_conflict: inputs.merge(*this, mf::include(&M::conflict)); break;
      case How::not_this: {
        Merge other;
        inputs.merge(other);
        break;
      }
    }
  }
  void end() {}

  static auto graph() {
    using M = Merge;
    return mf::graph(mf::step<&M::start>(mf::next<&M::left, &M::right>), mf::step<&M::left>(mf::next<&M::join>),
                     mf::step<&M::right>(mf::next<&M::join>), mf::step<&M::join>(mf::next<&M::end>),
                     mf::step<&M::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Merge>(argc, argv); }
