#include "runtime/cpp/cpp_language.h"

#include <algorithm>
#include <memory>

#include "runtime/cpp/cpp_task.h"
#include "runtime/cpp/flow_object.h"
#include "runtime/cpp/members.h"
#include "value/unpickler.h"

namespace metaflow::runtime {

using detail::ArtifactKind;

namespace {

/// Python's name for the type of a constant.
std::string_view type_in_python(std::string_view type) {
  if (type == "bool") return "bool";
  if (type == "double" || type == "float") return "float";
  if (type.find("string") != std::string_view::npos && !type.starts_with("std::vector")) return "str";
  for (std::string_view integer : {"int", "long", "short", "char", "unsigned"}) {
    if (type.starts_with(integer)) return "int";
  }
  return "object";
}

std::string describe_default(const detail::Member& member, const void* address) {
  detail::Pickler pickler;
  member.ops->encode(address, pickler);
  pickler.finish();
  const Document document = value::read_back(pickler);
  const Value& root = document.root();
  if (root.is_none()) return {};
  if (root.kind() == Kind::list || root.kind() == Kind::dict) return to_json(root);
  return text_of(root);
}

detail::ParameterDescription describe_parameter(const detail::Member& member, const void* address) {
  const auto& ops = *member.ops->parameter;
  const auto& base = ops.base(address);
  detail::ParameterDescription parameter;
  parameter.name = member.name;
  parameter.option = base.name.empty() ? parameter.name : base.name;
  parameter.help = base.help;
  parameter.separator = base.separator;
  parameter.type = ops.type;
  parameter.item_type = ops.item_type;
  parameter.required = base.required;
  if (!base.required) parameter.default_text = describe_default(member, address);
  return parameter;
}

/// The index of the member with this name, which must exist.
std::size_t member_named(std::span<const detail::Member> members, std::string_view name) {
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const auto& member) { return member.name == name; });
  return static_cast<std::size_t>(found - members.begin());
}

}  // namespace

detail::FlowDescription describe(const detail::FlowTable& flow, const detail::GraphAnnotations& said) {
  detail::FlowDescription described{
      .name = std::string(flow.name), .doc = std::string(flow.doc()), .project = std::string(flow.project)};
  for (const detail::Member& member : members_of(flow)) {
    const bool constant = member.ops->kind == ArtifactKind::constant;
    described.artifacts.push_back({.name = std::string(member.name),
                                   .kind = member.ops->kind,
                                   .type = std::string(constant ? type_in_python(member.ops->type_name) : "")});
  }
  for (int i = 0; i < flow.step_count; ++i) {
    const detail::ShapeStep& shape = flow.shape[i];
    const detail::StepTable& table = flow.steps[i];
    const detail::StepAnnotations& words = said.steps()[static_cast<std::size_t>(i)];
    const int* targets = flow.targets + shape.first_target;
    detail::StepDescription step{.name = std::string(shape.name),
                                 .doc = words.doc(),
                                 .transition = shape.transition,
                                 .targets = {targets, targets + shape.target_count},
                                 .join = shape.join,
                                 .takes_item = shape.takes_item,
                                 .decorators = words.decorators()};
    if (table.cases != nullptr) step.cases.assign(table.cases, table.cases + shape.target_count);
    if (table.variable >= 0) step.variable = flow.members[table.variable].name;
    described.steps.push_back(std::move(step));
  }
  return described;
}

std::vector<detail::ParameterDescription> CppLanguage::parameters() const {
  const FlowObject object(flow_);
  std::vector<detail::ParameterDescription> described;
  for (std::size_t m = 0; m < object.members().size(); ++m) {
    const detail::Member& member = object.members()[m];
    if (member.ops->kind == ArtifactKind::parameter) described.push_back(describe_parameter(member, object.member(m)));
  }
  return described;
}

Language::ValueCheck CppLanguage::value_check() const {
  return [object = std::make_shared<FlowObject>(flow_)](std::string_view artifact, const Value& value,
                                                        const detail::Place& place) {
    const std::size_t m = member_named(object->members(), artifact);
    object->members()[m].ops->decode(object->member(m), value, place);
  };
}

std::vector<store::ArtifactRecord> CppLanguage::save_parameters(store::FlowStore& store,
                                                                std::span<const GivenValue> given) const {
  const FlowObject object(flow_);
  const auto members = object.members();
  for (const GivenValue& each : given) {
    const std::size_t m = member_named(members, each.artifact);
    members[m].ops->decode(object.member(m), *each.value, detail::Place{});
  }
  std::vector<store::ArtifactRecord> saved;
  for (std::size_t m = 0; m < members.size(); ++m) {
    const auto kind = members[m].ops->kind;
    if (kind == ArtifactKind::parameter || kind == ArtifactKind::constant)
      saved.push_back(save_member(members[m], object.member(m), store));
  }
  return saved;
}

int CppLanguage::execute_task(const detail::FlowDescription& flow, const graph::DecoratorTable& decorators,
                              const compute::StepArguments& arguments, const std::vector<std::string>& command) const {
  return execute_cpp_task(flow_, flow, decorators, arguments, command);
}

}  // namespace metaflow::runtime
