// The value of an artifact chooses the next step. A step that chooses itself is repeated.
#include <metaflow/metaflow.h>

#include <cmath>
#include <cstdio>

namespace mf = metaflow;

enum class Method { newton, bisection };

struct Switch : mf::FlowSpec<Switch> {
  static constexpr auto doc = "Computes a square root by the method of choice, one task per iteration.";

  mf::Parameter<double> x{{.value = 2, .help = "The number."}};
  mf::Parameter<bool> slow{{.value = false, .help = "Bisect instead of Newton's method."}};
  Method method = Method::newton;
  double low = 0;
  double high = 0;
  double root = 0;
  bool precise = false;
  int iterations = 0;

  void start() {
    method = *slow ? Method::bisection : Method::newton;
    high = root = std::max(1.0, *x);
  }

  void newton() {
    root = (root + *x / root) / 2;
    ++iterations;
    precise = std::abs(root * root - *x) < 1e-9;
  }

  void bisection() {
    root = (low + high) / 2;
    (root * root < *x ? low : high) = root;
    ++iterations;
    precise = high - low < 1e-3;
  }

  void end() { std::printf("The square root of %g is %.9f, after %d iterations.\n", *x, root, iterations); }

  static auto graph() {
    using S = Switch;
    return mf::graph(
        mf::step<&S::start>(
            mf::choose<&S::method, mf::when<Method::newton, &S::newton>, mf::when<Method::bisection, &S::bisection>>),
        mf::step<&S::newton>(mf::choose<&S::precise, mf::when<false, &S::newton>, mf::when<true, &S::end>>),
        mf::step<&S::bisection>(mf::choose<&S::precise, mf::when<false, &S::bisection>, mf::when<true, &S::end>>),
        mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Switch>(argc, argv); }
