#include "compute/batch/batch_request.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include <metaflow/error.h>

#include "compute/platform.h"

namespace metaflow::awsbatch {
namespace {

/// Sets variables of the environment, and unsets them when the test ends.
class BatchRequests : public testing::Test {
 protected:
  BatchRequests() { set("ECS_S3_ACCESS_IAM_ROLE", "arn:aws:iam::123456789012:role/tasks"); }
  ~BatchRequests() override {
    for (const std::string& name : set_) ::unsetenv(name.c_str());
  }
  void set(const std::string& name, const std::string& value) {
    set_.push_back("METAFLOW_" + name);
    ::setenv(set_.back().c_str(), value.c_str(), 1);
  }
  static std::vector<graph::Decorator> decorators(const std::vector<std::string>& with) {
    std::vector<graph::Decorator> list;
    for (const std::string& spec : with) list.push_back(compute::platforms().decorators().parse(spec));
    return list;
  }
  static BatchRequest of(const std::vector<std::string>& with) {
    return batch_request("work", decorators(with), base::Settings()).value();
  }
  template <class F>
  static std::string refusal(F what) {
    try {
      what();
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::platform || error.code() == ErrorCode::invalid_flow);
      return error.what();
    }
    return "nothing was refused";
  }
  static std::string refused(const std::vector<std::string>& with) {
    return refusal([&] { of(with); });
  }
  static std::string refused_by(Machines machines, const std::vector<std::string>& with) {
    return refusal([&] { fit_to(machines, "work", of(with)); });
  }

 private:
  std::vector<std::string> set_;
};

TEST_F(BatchRequests, OnlyStepsWithTheDecorator) {
  EXPECT_FALSE(batch_request("work", decorators({"resources:cpu=4"}), base::Settings()).has_value());
}

TEST_F(BatchRequests, Defaults) {
  const BatchRequest job = of({"batch"});
  EXPECT_EQ(job.cpu, 1);
  EXPECT_EQ(job.memory, 4096);
  EXPECT_EQ(job.gpu, 0);
  EXPECT_EQ(job.queue, "");
  EXPECT_EQ(job.image, "public.ecr.aws/docker/library/buildpack-deps:bookworm-curl");
  EXPECT_EQ(job.iam_role, "arn:aws:iam::123456789012:role/tasks");
  EXPECT_TRUE(job.tags.empty());
  EXPECT_EQ(job.time_limit, 5 * 24 * 3600);
}

TEST_F(BatchRequests, ResourcesAreMerged) {
  const BatchRequest job = of({"batch:cpu=4,memory=2000,gpu=1,shared_memory=128",
                               "resources:cpu=2,memory=8000,gpu=2,disk=99999,shared_memory=64"});
  EXPECT_EQ(job.cpu, 4);
  EXPECT_EQ(job.memory, 8000);
  EXPECT_EQ(job.gpu, 2);
  EXPECT_EQ(job.shared_memory, 128);
  // As in the reference: the defaults of `resources` take part, those of `batch` do not.
  EXPECT_EQ(of({"batch:memory=1000", "resources:cpu=0.5"}).cpu, 0.5);
  EXPECT_EQ(of({"batch:memory=1000", "resources:cpu=0.5"}).memory, 4096);
  EXPECT_EQ(of({"batch:memory=1000"}).memory, 1000);
}

TEST_F(BatchRequests, SettingsAreDefaults) {
  set("BATCH_JOB_QUEUE", "night");
  set("BATCH_CONTAINER_IMAGE", "base:1");
  set("BATCH_CONTAINER_REGISTRY", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/");
  set("ECS_FARGATE_EXECUTION_ROLE", "arn:aws:iam::123456789012:role/ecs");
  set("BATCH_DEFAULT_TAGS", R"({"team": "risk", "cost": "42"})");
  BatchRequest job = of({"batch:aws_batch_tags={\"team\":\"quant\"}"});
  EXPECT_EQ(job.queue, "night");
  EXPECT_EQ(job.image, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/base:1");
  EXPECT_EQ(job.execution_role, "arn:aws:iam::123456789012:role/ecs");
  EXPECT_EQ(job.tags, (std::map<std::string, std::string>{{"team", "quant"}}));
  EXPECT_FALSE(job.describing_tags);
  set("BATCH_EMIT_TAGS", "true");
  job = of({"batch:queue=day,image=quay.io/x:2,iam_role=arn:aws:iam::1:role/own,aws_batch_tags=team=quant"});
  EXPECT_EQ(job.queue, "day");
  EXPECT_EQ(job.image, "quay.io/x:2");
  EXPECT_EQ(job.iam_role, "arn:aws:iam::1:role/own");
  EXPECT_EQ(job.tags, (std::map<std::string, std::string>{{"team", "quant"}, {"cost", "42"}}));
  EXPECT_TRUE(job.describing_tags);
}

TEST_F(BatchRequests, CommandLineSyntax) {
  const BatchRequest job =
      of({"batch:host_volumes=/data,/scratch:/tmp/scratch,efs_volumes=[\"fs-1\",\"fs-2:/models\"],use_tmpfs=true,"
          "memory=1000,log_driver=awslogs,log_options=awslogs-group:mine,trainium=2",
          "timeout:minutes=10"});
  EXPECT_EQ(job.host_volumes, (std::vector<Volume>{{"/data", "/data"}, {"/scratch", "/tmp/scratch"}}));
  EXPECT_EQ(job.efs_volumes, (std::vector<Volume>{{"fs-1", "/mnt/fs-1"}, {"fs-2", "/models"}}));
  EXPECT_EQ(job.tmpfs.size, 500);
  EXPECT_EQ(job.tmpfs.path, "/metaflow_temp");
  EXPECT_EQ(job.log_options.at("awslogs-group"), "mine");
  EXPECT_EQ(job.neuron_devices, 2);
  EXPECT_EQ(job.time_limit, 600);
}

TEST_F(BatchRequests, InvalidRequestsAreRefused) {
  EXPECT_EQ(refused({"batch:cpu=0"}), "Invalid cpu value *0* for step *work*; it should be greater than 0");
  EXPECT_EQ(refused({"batch:memory=3"}), "Invalid memory value *3* for step *work*; AWS Batch requires at least 4 MiB");
  EXPECT_EQ(refused({"batch:gpu=-1"}), "Invalid gpu value: *-1* for step *work* (it should be an integer, at least 0)");
  EXPECT_EQ(refused({"batch:max_swap=1,swappiness=101"}),
            "Invalid swappiness value: *101* for step *work* (it should be an integer, 0 to 100)");
  EXPECT_EQ(refused({"batch:swappiness=1"}), "swappiness of step *work* requires max_swap");
  EXPECT_EQ(refused({"batch:ephemeral_storage=20"}),
            "Invalid ephemeral_storage value: *20* for step *work* (it should be an integer, 21 to 200)");
  EXPECT_TRUE(refused({"batch:inferentia=1,trainium=1"}).ends_with("only use one of them."));
  EXPECT_EQ(refused({"batch:use_tmpfs=true,tmpfs_path=tmp"}),
            "tmpfs_path of step *work* has the path 'tmp', which must begin with /");
  EXPECT_EQ(refused({"batch:host_volumes=data"}),
            "host_volumes of step *work* has the path 'data', which must begin with /");
  EXPECT_TRUE(refused({"batch:efs_volumes=:/x"}).starts_with("efs_volumes of step *work* has ':/x'"));
  EXPECT_TRUE(refused({"batch:log_driver=print"}).starts_with("Invalid log_driver value: *print* for step *work*"));
  EXPECT_EQ(refused({"batch:log_options=group"}), "log_options of step *work* has 'group', which is not key:value");
  EXPECT_TRUE(refused({"batch:aws_batch_tags=AWS:x=1"}).starts_with("'AWS:x' cannot be the key of a tag"));
  EXPECT_TRUE(refused({"batch:aws_batch_tags={\"a\":\"b*\"}"}).starts_with("'b*' cannot be the value of the tag a"));
  EXPECT_EQ(refused({"batch", "timeout:seconds=30"}),
            "The timeout for step *work* should be at least 60 seconds for execution on AWS Batch.");
  set("ECS_S3_ACCESS_IAM_ROLE", "");
  EXPECT_TRUE(refused({"batch"}).starts_with("No IAM role found for step *work*"));
  set("BATCH_EMIT_TAGS", "perhaps");
  EXPECT_EQ(refused({"batch:iam_role=x"}), "METAFLOW_BATCH_EMIT_TAGS is 'perhaps', which is not true or false");
}

TEST_F(BatchRequests, Ec2RoundsUpToWholeCpus) {
  EXPECT_EQ(fit_to(Machines::ec2, "work", of({"batch:cpu=0.5"})).cpu, 1);
  EXPECT_EQ(fit_to(Machines::spot, "work", of({"batch:cpu=3,memory=1000.5"})).memory, 1000);
  EXPECT_TRUE(refused_by(Machines::ec2, {"batch:ephemeral_storage=30"})
                  .starts_with("The ephemeral_storage of step *work* is only available for Fargate"));
}

TEST_F(BatchRequests, FargateHasFixedSizes) {
  set("ECS_FARGATE_EXECUTION_ROLE", "arn:aws:iam::123456789012:role/ecs");
  for (const char* good : {"cpu=0.25,memory=512", "cpu=0.25,memory=2048", "cpu=0.5,memory=3072", "cpu=1,memory=8192",
                           "cpu=2,memory=16384", "cpu=4,memory=30720", "cpu=8,memory=61440", "cpu=16,memory=40960",
                           "cpu=32,memory=249856", "memory=4096,ephemeral_storage=200"}) {
    EXPECT_EQ(refused_by(Machines::fargate_spot, {std::string("batch:") + good}), "nothing was refused") << good;
  }
  auto nearest = [](const std::string& pair) {
    const std::string words = refused_by(Machines::fargate, {"batch:" + pair});
    const std::size_t at = words.find("enough: ");
    return at == std::string::npos ? words : words.substr(at + 8, words.find(". Valid") - at - 8);
  };
  EXPECT_EQ(nearest("cpu=1,memory=60000"), "cpu=8, memory=61440");
  EXPECT_EQ(nearest("cpu=1,memory=1024"), "cpu=1, memory=2048");
  EXPECT_EQ(nearest("cpu=3,memory=4096"), "cpu=4, memory=8192");
  EXPECT_EQ(nearest("cpu=0.25,memory=1500"), "cpu=0.25, memory=2048");
  EXPECT_EQ(nearest("cpu=16,memory=33000"), "cpu=16, memory=40960");
  EXPECT_EQ(nearest("cpu=1,memory=123000"), "cpu=32, memory=249856");
  EXPECT_TRUE(nearest("cpu=1,memory=300000").ends_with("Use a queue with EC2 instances."));
  EXPECT_TRUE(nearest("cpu=64,memory=4096").ends_with("Use a queue with EC2 instances."));
}

TEST_F(BatchRequests, FargateRefusesDevicesAndVolumes) {
  EXPECT_TRUE(refused_by(Machines::fargate, {"batch"}).starts_with("No AWS Fargate task execution IAM role"));
  set("ECS_FARGATE_EXECUTION_ROLE", "arn:aws:iam::123456789012:role/ecs");
  for (const char* lacking : {"gpu=1", "inferentia=1", "efa=1", "shared_memory=64", "max_swap=0", "tmpfs_size=10",
                              "host_volumes=/data", "privileged=true"}) {
    EXPECT_TRUE(
        refused_by(Machines::fargate, {std::string("batch:") + lacking}).starts_with("Fargate does not support "))
        << lacking;
  }
}

}  // namespace
}  // namespace metaflow::awsbatch
