// Branches in branches in branches.
#include "shape.h"

namespace {

struct NestedBranches : shapes::Shape<NestedBranches> {
  void start() { act(); }
  void a() { act(); }
  void b() { act(); }
  void aa() { act(); }
  void ab() { act(); }
  void ba() { act(); }
  void bb() { act(); }
  void aaa() { act(); }
  void aab() { act(); }
  void aba() { act(); }
  void abb() { act(); }
  void baa() { act(); }
  void bab() { act(); }
  void bba() { act(); }
  void bbb() { act(); }
  void aaa_aab_join(const mf::Inputs<NestedBranches>& inputs) { act(inputs); }
  void aba_abb_join(const mf::Inputs<NestedBranches>& inputs) { act(inputs); }
  void baa_bab_join(const mf::Inputs<NestedBranches>& inputs) { act(inputs); }
  void bba_bbb_join(const mf::Inputs<NestedBranches>& inputs) { act(inputs); }
  void aa_ab_join(const mf::Inputs<NestedBranches>& inputs) { act(inputs); }
  void ba_bb_join(const mf::Inputs<NestedBranches>& inputs) { act(inputs); }
  void a_b_join(const mf::Inputs<NestedBranches>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = NestedBranches;
    return mf::graph(
        mf::step<&F::start>(mf::next<&F::a, &F::b>), mf::step<&F::a>(mf::next<&F::aa, &F::ab>),
        mf::step<&F::b>(mf::next<&F::ba, &F::bb>), mf::step<&F::aa>(mf::next<&F::aaa, &F::aab>),
        mf::step<&F::ab>(mf::next<&F::aba, &F::abb>), mf::step<&F::ba>(mf::next<&F::baa, &F::bab>),
        mf::step<&F::bb>(mf::next<&F::bba, &F::bbb>), mf::step<&F::aaa>(mf::next<&F::aaa_aab_join>),
        mf::step<&F::aab>(mf::next<&F::aaa_aab_join>), mf::step<&F::aba>(mf::next<&F::aba_abb_join>),
        mf::step<&F::abb>(mf::next<&F::aba_abb_join>), mf::step<&F::baa>(mf::next<&F::baa_bab_join>),
        mf::step<&F::bab>(mf::next<&F::baa_bab_join>), mf::step<&F::bba>(mf::next<&F::bba_bbb_join>),
        mf::step<&F::bbb>(mf::next<&F::bba_bbb_join>), mf::step<&F::aaa_aab_join>(mf::next<&F::aa_ab_join>),
        mf::step<&F::aba_abb_join>(mf::next<&F::aa_ab_join>), mf::step<&F::baa_bab_join>(mf::next<&F::ba_bb_join>),
        mf::step<&F::bba_bbb_join>(mf::next<&F::ba_bb_join>), mf::step<&F::aa_ab_join>(mf::next<&F::a_b_join>),
        mf::step<&F::ba_bb_join>(mf::next<&F::a_b_join>), mf::step<&F::a_b_join>(mf::next<&F::end>),
        mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<NestedBranches>(argc, argv); }
