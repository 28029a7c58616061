#include "compute/kubernetes/pod_request.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include <metaflow/error.h>

#include "compute/platform.h"

namespace metaflow::kube {
namespace {

/// Sets variables of the environment, and unsets them when the test ends.
class PodRequests : public testing::Test {
 protected:
  ~PodRequests() override {
    for (const std::string& name : set_) ::unsetenv(name.c_str());
  }
  void set(const std::string& name, const std::string& value) {
    set_.push_back("METAFLOW_" + name);
    ::setenv(set_.back().c_str(), value.c_str(), 1);
  }
  static PodRequest of(const std::vector<std::string>& with) {
    std::vector<graph::Decorator> decorators;
    for (const std::string& spec : with) decorators.push_back(compute::platforms().decorators().parse(spec));
    return pod_request("work", decorators, base::Settings()).value();
  }
  static std::string refused(const std::vector<std::string>& with) {
    try {
      of(with);
    } catch (const Error& error) {
      return error.message();
    }
    return "nothing was refused";
  }

 private:
  std::vector<std::string> set_;
};

TEST_F(PodRequests, OnlyStepsWithTheDecorator) {
  EXPECT_FALSE(
      pod_request("work", {compute::platforms().decorators().parse("resources:cpu=4")}, base::Settings()).has_value());
}

TEST_F(PodRequests, Defaults) {
  const PodRequest pod = of({"kubernetes"});
  EXPECT_EQ(pod.cpu, 1);
  EXPECT_EQ(pod.memory, 4096);
  EXPECT_EQ(pod.disk, 10240);
  EXPECT_EQ(pod.name_space, "");
  EXPECT_EQ(pod.image, "debian:bookworm-slim");
  EXPECT_FALSE(pod.guaranteed);
  EXPECT_EQ(pod.time_limit, 5 * 24 * 3600);
}

TEST_F(PodRequests, ResourcesAreMerged) {
  const PodRequest pod = of({"kubernetes:cpu=4,memory=2000", "resources:cpu=2,memory=8000,gpu=1,shared_memory=64"});
  EXPECT_EQ(pod.cpu, 4);
  EXPECT_EQ(pod.memory, 8000);
  EXPECT_EQ(pod.gpu, 1);
  EXPECT_EQ(pod.shared_memory, 64);
}

TEST_F(PodRequests, SettingsAreDefaults) {
  set("KUBERNETES_CPU", "8");
  set("KUBERNETES_MEMORY", "1000");
  set("KUBERNETES_NAMESPACE", "ml");
  set("KUBERNETES_CONTAINER_IMAGE", "base:1");
  set("KUBERNETES_CONTAINER_REGISTRY", "registry.corp/");
  set("KUBERNETES_SECRETS", "a,b");
  set("KUBERNETES_NODE_SELECTOR", "pool=big");
  set("KUBERNETES_TOLERATIONS", R"([{"key": "gpu", "operator": "Exists", "toleration_seconds": 60}])");
  set("KUBERNETES_LABELS", "team=risk,own");
  const PodRequest pod = of({"kubernetes:memory=500,secrets=b,labels={\"team\":\"quant\"}"});
  EXPECT_EQ(pod.cpu, 8);
  EXPECT_EQ(pod.memory, 500);
  EXPECT_EQ(pod.name_space, "ml");
  EXPECT_EQ(pod.image, "registry.corp/base:1");
  EXPECT_EQ(pod.secrets, (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(pod.node_selector.at("pool"), "big");
  ASSERT_EQ(pod.tolerations.size(), 1U);
  EXPECT_EQ(pod.tolerations[0].seconds, 60);
  EXPECT_EQ(pod.labels, (std::map<std::string, std::string>{{"team", "quant"}, {"own", ""}}));
}

TEST_F(PodRequests, CommandLineSyntax) {
  const PodRequest pod =
      of({"kubernetes:namespace=ml,node_selector=a=b,use_tmpfs=true,memory=1000,"
          "security_context={\"run_as_user\":1000,\"privileged\":false}",
          "timeout:minutes=10"});
  EXPECT_EQ(pod.name_space, "ml");
  EXPECT_EQ(pod.node_selector.at("a"), "b");
  EXPECT_EQ(pod.tmpfs.size, 500);
  EXPECT_EQ(pod.security_context.run_as_user, 1000);
  EXPECT_EQ(pod.security_context.privileged, false);
  EXPECT_EQ(pod.time_limit, 600);
  EXPECT_EQ(of({"kubernetes:node_selector=\"a=b,c=d\""}).node_selector.size(), 2U);
}

TEST_F(PodRequests, InvalidRequestsAreRefused) {
  EXPECT_EQ(refused({"kubernetes:cpu=0"}), "Invalid cpu value *0* for step *work*; it should be greater than 0");
  EXPECT_EQ(refused({"kubernetes:gpu=1,gpu_vendor=intel"}),
            "GPU vendor *intel* for step *work* is not currently supported.");
  EXPECT_EQ(refused({"kubernetes:qos=BestEffort"}), "*BestEffort* (step *work*) is not a valid Kubernetes QoS class");
  EXPECT_EQ(refused({"kubernetes", "timeout:seconds=30"}),
            "The timeout for step *work* should be at least 60 seconds for execution on Kubernetes.");
  EXPECT_EQ(refused({"kubernetes:labels={\"a\":\"-b\"}"}), "Invalid value: \"-b\" of the label a of step *work*");
  EXPECT_EQ(refused({"kubernetes:tolerations=[{\"name\":\"x\"}]"}),
            "Tolerations parameter contains invalid keys: [name] (step *work*)");
  EXPECT_EQ(refused({"kubernetes:shared_memory=0"}),
            "Invalid shared_memory value: *0* for step *work* (it should be an integer greater than 0)");
  set("KUBERNETES_CPU", "many");
  EXPECT_EQ(refused({"kubernetes"}), "METAFLOW_KUBERNETES_CPU is 'many', which is not a number");
}

TEST(Images, Registry) {
  EXPECT_EQ(compute::image_with_registry("base:1", ""), "base:1");
  EXPECT_EQ(compute::image_with_registry("base:1", "r.io"), "r.io/base:1");
  EXPECT_EQ(compute::image_with_registry("foo/base:1", "r.io/"), "r.io/foo/base:1");
  EXPECT_EQ(compute::image_with_registry("quay.io/foo/base", "r.io"), "quay.io/foo/base");
  EXPECT_EQ(compute::image_with_registry("localhost:5000/base", "r.io"), "localhost:5000/base");
}

}  // namespace
}  // namespace metaflow::kube
