#include "compute/batch/job_request.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"

namespace metaflow::awsbatch {
namespace {

using base::text_at;
using compute::JobIdentity;

JobIdentity identity() { return {"Sweep", "1795351091639954", "work", "7", 1, "a.b@corp"}; }

BatchRequest request() {
  BatchRequest request;
  request.image = "debian:bookworm-slim";
  request.iam_role = "arn:aws:iam::1:role/r";
  request.time_limit = 600;
  return request;
}

std::string name_of(const Json& definition) { return text_at(definition, {"jobDefinitionName"}); }

TEST(BatchJobName, IsValidForBatch) {
  JobIdentity long_one{std::string(200, 'F'), "1", std::string(200, 's') + "ä.b", "1", 0, "u"};
  for (const JobIdentity& each : {identity(), long_one}) {
    const std::string name = job_name(each, "s3://b/x");
    EXPECT_LE(name.size(), 128U);
    EXPECT_TRUE(std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    })) << name;
    EXPECT_TRUE(name.starts_with(job_prefix(compute::run_key(each.flow, each.run, "s3://b/x")))) << name;
  }
}

TEST(BatchJobName, DependsOnTheAttempt) {
  EXPECT_EQ(job_name(identity(), "s"), job_name(identity(), "s"));
  JobIdentity other = identity();
  other.attempt = 2;
  EXPECT_NE(job_name(other, "s"), job_name(identity(), "s"));
  EXPECT_NE(job_name(identity(), "t"), job_name(identity(), "s"));
  EXPECT_NE(job_name(identity(), "s", 1), job_name(identity(), "s"));
}

TEST(BatchDefinition, NameDependsOnTheContent) {
  const Json one = job_definition(request(), Machines::ec2, "x86_64");
  EXPECT_EQ(one, job_definition(request(), Machines::spot, "x86_64")) << "Spot is a property of the queue";
  BatchRequest more = request();
  more.cpu = 4;
  more.memory = 9999;
  more.gpu = 1;
  more.time_limit = 60;
  EXPECT_EQ(name_of(one), name_of(job_definition(more, Machines::ec2, "x86_64"))) << "the job sets these";
  more.image = "ubuntu:24.04";
  EXPECT_NE(name_of(one), name_of(job_definition(more, Machines::ec2, "x86_64")));
  EXPECT_NE(name_of(one), name_of(job_definition(request(), Machines::fargate, "x86_64")));
  EXPECT_LE(name_of(one).size(), 128U);
}

TEST(BatchDefinition, FieldsForEc2) {
  BatchRequest asked = request();
  asked.shared_memory = 64;
  asked.max_swap = 0;
  asked.swappiness = 10;
  asked.neuron_devices = 2;
  asked.efa = 1;
  asked.tmpfs.size = 100;
  asked.tmpfs.path = "/metaflow_temp";
  asked.host_volumes = {{"/data", "/mnt/data"}};
  asked.efs_volumes = {{"fs-1", "/mnt/fs-1"}};
  asked.log_options = {{"awslogs-group", "mine"}};
  asked.privileged = true;
  const Json container = job_definition(asked, Machines::ec2, "x86_64")["containerProperties"];
  const Json& parameters = container["linuxParameters"];
  EXPECT_EQ(parameters["sharedMemorySize"], 64);
  EXPECT_EQ(parameters["maxSwap"], 0);
  EXPECT_EQ(parameters["devices"].size(), 3U);
  EXPECT_EQ(parameters["devices"][1]["hostPath"], "/dev/neuron1");
  EXPECT_EQ(parameters["devices"][2]["permissions"].size(), 3U);
  EXPECT_EQ(parameters["tmpfs"][0]["size"], 100);
  EXPECT_EQ(container["volumes"][0]["host"]["sourcePath"], "/data");
  EXPECT_EQ(container["volumes"][1]["efsVolumeConfiguration"]["fileSystemId"], "fs-1");
  EXPECT_EQ(container["mountPoints"][1]["containerPath"], "/mnt/fs-1");
  EXPECT_EQ(container["mountPoints"][1]["sourceVolume"], container["volumes"][1]["name"]);
  EXPECT_EQ(container["logConfiguration"]["logDriver"], "awslogs");
  EXPECT_EQ(container["privileged"], true);
  EXPECT_FALSE(container.contains("networkConfiguration"));
}

TEST(BatchDefinition, FieldsForFargate) {
  BatchRequest asked = request();
  asked.execution_role = "arn:aws:iam::1:role/e";
  asked.ephemeral_storage = 30;
  const Json definition = job_definition(asked, Machines::fargate_spot, "aarch64");
  EXPECT_EQ(definition["platformCapabilities"], Json::list({"FARGATE"}));
  const Json& container = definition["containerProperties"];
  EXPECT_EQ(container["executionRoleArn"], "arn:aws:iam::1:role/e");
  EXPECT_EQ(container["ephemeralStorage"]["sizeInGiB"], 30);
  EXPECT_EQ(container["runtimePlatform"]["cpuArchitecture"], "ARM64");
  EXPECT_FALSE(container.contains("linuxParameters"));
}

TEST(BatchSubmission, OfOneAttempt) {
  BatchRequest asked = request();
  asked.cpu = 2;
  asked.memory = 60000;
  asked.gpu = 1;
  asked.tmpfs.size = 10;
  asked.tmpfs.path = "/t";
  const Json job = job_submission(identity(), "n", asked, "arn:q", "arn:d:1", job_command("", {"supervise", "--"}),
                                  {{"A", "1"}, {"OMP_NUM_THREADS", "7"}, {"A", "2"}});
  EXPECT_EQ(job["jobName"], "n");
  EXPECT_EQ(job["timeout"]["attemptDurationSeconds"], 600);
  const Json& overrides = job["containerOverrides"];
  EXPECT_EQ(overrides["command"][0], "sh");
  EXPECT_EQ(overrides["command"].items().back(), "--");
  EXPECT_EQ(overrides["resourceRequirements"],
            Json::parse_or_throw(
                R"([{"type":"VCPU","value":"2"},{"type":"MEMORY","value":"60000"},{"type":"GPU","value":"1"}])"));
  std::map<std::string, std::string> variables;
  for (const Json& variable : overrides["environment"].items())
    variables[variable["name"].text()] = variable["value"].text();
  EXPECT_EQ(variables.size(), overrides["environment"].size()) << "no duplicates";
  EXPECT_EQ(variables.at("A"), "2");
  EXPECT_EQ(variables.at("OMP_NUM_THREADS"), "7");
  EXPECT_EQ(variables.at("MKL_NUM_THREADS"), "2");
  EXPECT_EQ(variables.at("METAFLOW_TEMPDIR"), "/t");
  EXPECT_EQ(job["parameters"]["metaflow.task_id"], "7");
  EXPECT_FALSE(job.contains("tags"));
  EXPECT_LT(overrides.dump().size(), 1000U) << "Batch allows 8192";
}

TEST(BatchSubmission, Tags) {
  BatchRequest asked = request();
  asked.tags = {{"team", "quant"}};
  EXPECT_EQ(job_submission(identity(), "n", asked, "q", "d", {"x"}, {})["tags"], Json({{"team", "quant"}}));
  asked.describing_tags = true;
  JobIdentity odd = identity();
  odd.user = "ä<b>";
  const Json tags = job_submission(odd, "n", asked, "q", "d", {"x"}, {})["tags"];
  EXPECT_EQ(tags["app"], "metaflow");
  EXPECT_EQ(tags["metaflow.step_name"], "work");
  EXPECT_EQ(tags["metaflow.user"], "b");
}

TEST(BatchSubmission, FargateAllowsFractionsOfCpus) {
  BatchRequest asked = request();
  asked.cpu = 0.25;
  asked.memory = 512;
  EXPECT_EQ(job_submission(identity(), "n", asked, "q", "d", {"x"},
                           {})["containerOverrides"]["resourceRequirements"][0]["value"],
            "0.25");
}

TEST(BatchCommand, PlaceholdersAreEncoded) {
  const std::vector<std::string> plain{"step", "--tag", "100%25", "$(A) $$"};
  std::vector<std::string> words = plain;
  EXPECT_FALSE(percent_encode_placeholders(words));
  EXPECT_EQ(words, plain);
  words = {"step", "--tag", "Ref::metaflow.run_id", "100%25"};
  EXPECT_TRUE(percent_encode_placeholders(words));
  EXPECT_EQ(words, (std::vector<std::string>{"step", "--tag", "Ref%3A%3Ametaflow.run_id", "100%2525"}));
}

TEST(BatchCommand, FlowInTheImage) {
  EXPECT_EQ(job_command("/opt/flow", {"a"}), (std::vector<std::string>{"/opt/flow", "a"}));
}

}  // namespace
}  // namespace metaflow::awsbatch
